// The module in Node, before there is a hub.
import WebSocket from "ws";
import { RemoteEventTarget } from "../../eventtarget.js";

const make = () => new RemoteEventTarget(process.argv[2], { WebSocket, backoff: 20 });
const target = make();
let downs = 0;
target.addEventListener("down", () => {
  if (++downs > 2) return;
  console.log("down");
  if (downs < 2) return;
  const other = make();
  setTimeout(() => {
    other.close(); // while it connects, or between
    console.log(other.readyState);
  });
});
target.addEventListener("open", () => {
  console.log("open");
  target.close();
});
