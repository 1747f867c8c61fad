// Server-Sent Events through the npm client "eventsource".
import { EventSource } from "eventsource";

const source = new EventSource(process.argv[2]);
const hear = ({ data }) => {
  const { type, id, payload } = JSON.parse(data);
  console.log(`${type}:${id} ${JSON.stringify(payload)}`);
};
source.addEventListener("open", () => console.log("open"));
source.addEventListener("error", () => console.log("error"));
source.addEventListener("chat", hear);
source.addEventListener("__gap", hear);

setInterval(() => {}, 1000); // Node ends when nothing but a pause is left
