// The module in Node, with a query client whose queries go stale.
import WebSocket from "ws";
import { QueryClient } from "@tanstack/query-core";
import { RemoteEventTarget } from "../../eventtarget.js";
import { invalidate } from "../../invalidate.js";

const target = new RemoteEventTarget(process.argv[2], { WebSocket, backoff: 20 });
const queries = new QueryClient();
for (const id of ["7", "8"]) queries.setQueryData(["todo", id], {});
queries.getQueryCache().subscribe(({ type, action, query }) => {
  if (type === "updated" && action.type === "invalidate" && !all) console.log("stale", JSON.stringify(query.queryKey));
});

let states = [target.readyState];
let down = false;
let all = false;
target.addEventListener("open", ({ detail }) => {
  console.log("open", detail.resumed);
  if (states) console.log(...states);
  states = undefined;
  down = false;
});
target.addEventListener("down", () => {
  if (!down) console.log("down");
  if (!down) target.dispatchEvent(new CustomEvent("node:down", { detail: { n: 2 } }));
  down = true;
});
target.addEventListener("gap", ({ detail }) => {
  console.log("gap", detail.count);
  for (const query of queries.getQueryCache().getAll()) queries.setQueryData(query.queryKey, {});
  all = true;
});
target.addEventListener("todo:*", (event) => console.log(event.topic, JSON.stringify(event.detail)));
invalidate(target, queries, { "todo:*": (event) => event.topic.split(":") });
target.addEventListener("gap", () => {
  if (queries.getQueryCache().getAll().every((query) => query.state.isInvalidated)) console.log("stale all");
});
target.dispatchEvent(new CustomEvent("node:early", { detail: { n: 1 } }));
