// Targets that do what they are told in lines, and tell in lines what they do and hear.
import { get } from "node:http";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import WebSocket from "ws";
import { EventSource } from "eventsource";
import { RemoteEventTarget } from "../../eventtarget.js";

const network = new EventTarget(); // as a page has it
globalThis.addEventListener = (...args) => network.addEventListener(...args);

// Node's own fetch, of version 20, may never answer where the one before was aborted while it connected.
const fetch = (url, { headers, signal }) =>
  new Promise((done, failed) => {
    const answered = (r) => done(new Response(Readable.toWeb(r), { status: r.statusCode, headers: r.headers }));
    get(url, { headers, signal, agent: false }, answered).on("error", failed);
  });
class Source extends EventSource {
  constructor(url) {
    super(url, { fetch });
  }
}

const targets = new Map();
const tell = (...words) => console.log(words.join(" "));

const commands = {
  make({ t, url, sse, heartbeat }) {
    const target = new RemoteEventTarget(async () => url, { sse, heartbeat, WebSocket, EventSource: Source, backoff: 10 });
    targets.set(t, { target, ears: new Map(), said: 0 });
    target.addEventListener("open", ({ detail }) => tell("open", t, detail.resumed));
    target.addEventListener("down", ({ detail }) => tell("down", t, detail.code));
    target.addEventListener("gap", ({ detail }) => tell("gap", t, detail.count));
    target.addEventListener("refused", ({ detail }) => tell("refused", t, detail.topic));
  },
  add({ t, ear, topic, once, then = [] }) {
    const { target, ears } = targets.get(t);
    const handleEvent = ({ topic, detail: [who, n, text] }) => {
      tell("heard", t, ear, who, n, topic, text.length);
      for (const command of then.splice(0)) run(command);
    };
    const stop = new AbortController();
    ears.set(ear, { topic, stop, listener: ear % 2 ? handleEvent : { handleEvent } });
    tell("added", t, ear, topic, !!once);
    target.addEventListener(topic, ears.get(ear).listener, { once, signal: stop.signal });
  },
  remove({ t, ear }) {
    const { target, ears } = targets.get(t);
    const { topic, stop, listener } = ears.get(ear);
    if (ear % 3) target.removeEventListener(topic, listener);
    else stop.abort();
    tell("removed", t, ear);
  },
  say({ t, topic, size }) {
    const it = targets.get(t);
    const n = it.said++;
    tell("said", t, n, topic, size);
    try {
      it.target.dispatchEvent(new CustomEvent(topic, { detail: [t, n, "x".repeat(size)] }));
    } catch (error) {
      tell("threw", t, n, error.name);
    }
  },
  close({ t }) {
    tell("closes", t);
    targets.get(t).target.close();
  },
  online() {
    network.dispatchEvent(new Event("online"));
  },
  ping({ n }) {
    tell("pong", n, ...[...targets].map(([t, { target }]) => `${t}=${target.readyState}`));
  },
};
const run = (command) => commands[command.do](command);
createInterface({ input: process.stdin }).on("line", (line) => run(JSON.parse(line)));
