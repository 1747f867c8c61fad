// What the types let a program say, and what they do not.
import { RemoteEventTarget, type RemoteEvent } from "../../eventtarget.js";

const target = new RemoteEventTarget(async () => new URL("/ws", "https://example.com"), { heartbeat: 1000 });
target.addEventListener<{ text: string }>("chat:42", (event) => {
  const text: string = event.detail.text;
  const topic: string = event.topic + text;
  return topic;
}, { once: true, signal: AbortSignal.timeout(1000) });
target.addEventListener("*", { handleEvent(event: RemoteEvent) { event.headers?.traceparent; } });
target.addEventListener("gap", (event) => { const n: number = event.detail.count; return n; });
target.addEventListener("down", ({ detail: { code, reason, retry } }) => `${code + (retry ?? 0)} ${reason}`);
// @ts-expect-error: neither a topic nor an event of the target's own
target.addEventListener("chat", () => {});
// @ts-expect-error: it cannot be set
target.readyState = "open";
target.dispatchEvent(new CustomEvent("chat:42", { detail: { text: "hi" } }));
target.close();
