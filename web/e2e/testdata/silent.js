// The module in Node, over the npm client "eventsource".
import { EventSource } from "eventsource";
import { RemoteEventTarget } from "../../eventtarget.js";

class Source extends EventSource {
  constructor(url) {
    super(url);
    this.addEventListener("message", ({ data }) => console.log("sent", JSON.parse(data).type));
  }
}
const target = new RemoteEventTarget(process.argv[2], { sse: true, EventSource: Source, backoff: 20 });
for (const name of ["open", "down", "gap"]) target.addEventListener(name, () => console.log(name));
target.addEventListener("chat:*", (event) => console.log(event.topic, JSON.stringify(event.detail)));
setInterval(() => {}, 1000); // Node ends when nothing but a pause is left
