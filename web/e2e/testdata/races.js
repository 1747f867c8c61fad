// The module in Node, over a WebSocket that says and hears what the script wants.
import { RemoteEventTarget } from "../../eventtarget.js";

const sockets = [];
class Socket extends EventTarget {
  readyState = 0;
  protocol = "eventtarget.v1";
  bufferedAmount = 0;
  sent = [];
  constructor() {
    super();
    sockets.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  opens() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  says(message) {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  }
}
const welcome = { type: "__welcome", id: "", payload: { session: "s", resumed: false, received: 0 } };
const turn = () => new Promise((done) => setTimeout(done));
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A listener that is added or removed between the greeting and the answer to it.
{
  const target = new RemoteEventTarget("ws://nowhere/", { WebSocket: Socket });
  const hear = () => {};
  target.addEventListener("before:*", hear);
  await turn();
  const [socket] = sockets.splice(0);
  socket.opens();
  target.addEventListener("between:*", hear);
  target.removeEventListener("before:*", hear);
  socket.says(welcome);
  target.addEventListener("behind:*", hear);
  console.log(socket.sent.map(({ type, payload }) => `${type} ${payload.topics}`).join(", "));
  target.close();
}

// A listener that closes the target as soon as that is open.
{
  const target = new RemoteEventTarget("ws://nowhere/", { WebSocket: Socket, heartbeat: 20, backoff: 1 });
  target.addEventListener("open", () => target.close());
  await turn();
  sockets[0].opens();
  sockets[0].says(welcome);
  await pause(200);
  console.log(target.readyState, sockets.splice(0).length);
}

// One that is closed in the turn in which it was asked to listen.
{
  class Source {
    constructor() {
      sockets.push(this);
    }
    close() {}
  }
  const target = new RemoteEventTarget("http://nowhere/", { sse: true, EventSource: Source });
  target.addEventListener("a:*", () => {});
  target.close();
  await turn();
  console.log(target.readyState, sockets.splice(0).length);
}

// A peer that sends JSON which is no message, in place of its welcome or behind that.
for (const bad of [null, 5, {}, { type: 5 }, { type: "__ack" }]) {
  for (const first of [[], [welcome]]) {
    const target = new RemoteEventTarget("ws://nowhere/", { WebSocket: Socket });
    target.addEventListener("down", ({ detail }) => detail.code == 1000 || console.log(JSON.stringify(bad), detail.code));
    await turn();
    const [socket] = sockets.splice(0);
    socket.opens();
    for (const message of [...first, bad]) socket.says(message);
    target.close();
  }
}

// And over a stream of events.
class Source {
  constructor(url) {
    this.url = url;
    sockets.push(this);
  }
  close() {}
}
{
  const target = new RemoteEventTarget("http://nowhere/", { sse: true, EventSource: Source });
  target.addEventListener("a:*", () => {});
  target.addEventListener("down", ({ detail }) => detail.code == 1000 || console.log("stream", detail.code));
  await turn();
  await turn();
  sockets.pop().onmessage({ data: "null" });
  target.close();
}

// An EventSource that is new does not know an id before one came: what has none, such as a gap,
// does not change where the target goes on, nor what is new for it there.
{
  const target = new RemoteEventTarget("http://nowhere/", { sse: true, EventSource: Source, backoff: 1 });
  target.addEventListener("a:*", () => {});
  const behind = [];
  for (const [type, id, lastEventId] of [["a", "1", "log.7"], ["__gap", "", ""], ["a", "1", "log.9"], ["a", "2", ""], ["a", "3", ""]]) {
    await turn();
    await turn();
    const source = sockets.pop();
    behind.push([source.url.searchParams.get("lastEventId"), ...source.url.searchParams.getAll("new")].join(" "));
    source.onmessage({ data: JSON.stringify({ type, id, payload: { count: 0 } }), lastEventId });
    target.addEventListener(`b:${behind.length}`, () => {}); // for which it connects anew
  }
  console.log("behind", behind.join());
  target.close();
}

// A session that goes on before the hub has taken anything in: the answer does not say how much.
// What was sent is sent again, once, and what comes later is sent, too.
{
  const target = new RemoteEventTarget("ws://nowhere/", { WebSocket: Socket, backoff: 1 });
  const say = (n) => target.dispatchEvent(new CustomEvent("a:1", { detail: n }));
  const said = [];
  sockets.length = 0;
  for (const [answer, received] of [[{ session: "s" }], [{ session: "s", resumed: true }, 2], [{ session: "s", resumed: true, received: 2 }, 3]]) {
    while (!sockets.length) await pause(1);
    const [socket] = sockets.splice(0);
    socket.opens();
    socket.says({ type: "__welcome", id: "", payload: answer });
    say(said.length);
    if (received) socket.says({ type: "__ack", id: "", payload: { received } });
    say(said.length + 0.5);
    said.push(socket.sent.filter(({ type }) => type == "a").map(({ payload }) => payload));
    if (said.length < 3) socket.dispatchEvent(Object.assign(new Event("close"), { code: 1006 }));
  }
  console.log("said", JSON.stringify(said));
  target.close();
}

// A stream that is cut before it brought its first id: there is no place to go on from, and the
// target says that something may be missing. Behind an id nothing is.
{
  const target = new RemoteEventTarget("http://nowhere/", { sse: true, EventSource: Source, backoff: 1 });
  const told = [];
  target.addEventListener("a:*", () => {});
  target.addEventListener("open", ({ detail }) => told.push(`open ${detail.resumed}`));
  target.addEventListener("gap", ({ detail }) => told.push(`gap ${detail.count}`));
  await turn();
  sockets.length = 1;
  for (const lastEventId of ["", "log.7", ""]) {
    while (!sockets.length) await pause(1);
    const source = sockets.pop();
    source.onopen();
    if (lastEventId) source.onmessage({ data: JSON.stringify({ type: "__welcome", id: "" }), lastEventId });
    source.onerror();
  }
  console.log(told.join(", "));
  target.close();
}
