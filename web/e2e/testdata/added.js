// A listener that comes later, over server-sent events.
import { EventSource } from "eventsource";
import { RemoteEventTarget } from "../../eventtarget.js";

const target = new RemoteEventTarget(process.argv[2], { sse: true, EventSource });
const hear = (event) => console.log(event.type, event.detail);
target.addEventListener("open", () => console.log("open"));
target.addEventListener("a:1", (event) => {
  hear(event);
  target.addEventListener("b:1", hear);
});

setInterval(() => {}, 1000); // Node ends when nothing but a pause is left
