// An event target whose other half is a hub: docs/web.md says how to use it,
// docs/protocol.md what it says on the wire.

const WINDOW = 1 << 20; // bytes that may be under way to us
const ACK_AFTER = 100; // ms
const POLICY = 1008;
const TIMEOUT = 4009; // ends a connection, but no session

const bytes = (text) => new TextEncoder().encode(text).length;
const make = (name, detail, more) => Object.assign(new CustomEvent(name, { detail }), more);

const settings = (options) => (options === Object(options) ? options : { capture: options });

// parse takes the topic of an event apart, as a hub will that ends the connection for a bad one.
const parse = (topic) => {
  const [, type, id] = /^(?!__)([^:*\p{Cc}]+):((?!\*$)\P{Cc}*)$/u.exec(topic) ?? [];
  if (!type || bytes(type) > 128 || bytes(id) > 256) throw new TypeError(`no topic: ${topic}`);
  return { type, id };
};

export class RemoteEventTarget extends EventTarget {
  #url;
  #options;
  #state = "connecting";
  #topics = new Map(); // of each the listeners, and of those what the platform calls for them
  #socket; // or EventSource
  #timers = [];
  #failing = Date.now(); // since then, but for moments
  #since; // when there was the last connection
  #stop = new AbortController();

  #session = {}; // how it was welcomed, with our place in what a hub with a store numbers; by a plain peer not at all
  #received = 0;
  #unacked = 0; // bytes
  #ackAt = 0;
  #ackTimer;
  #silent = 0; // for so many beats

  #out = []; // what is not acknowledged, or not sent
  #size = 0;
  #sent = 0; // of it
  #taken = 0; // acknowledged before it
  #lastEventId = "";
  #asked = []; // for what, when that came

  constructor(url, options = {}) {
    super();
    this.#url = url;
    this.#options = { heartbeat: 15e3, backoff: 250, ...options };
    globalThis.addEventListener?.("online", () => this.#state == "down" && this.#dial(), { signal: this.#stop.signal });
    this.#dial();
  }

  get readyState() {
    return this.#state;
  }

  addEventListener(topic, listener, options) {
    if (topic.includes(":")) parse(topic.replace(/:\*$/, ":"));
    else if (topic != "*") return super.addEventListener(topic, listener, options);
    const { once, ...rest } = settings(options);
    const { signal } = rest;
    const key = !!rest.capture;
    let all = this.#topics.get(topic);
    if (all?.get(listener)?.[key] || signal?.aborted || !listener) return;
    // The platform does not tell what it removes, so we call the listener ourselves.
    const call = (event) => {
      if (once) remove();
      typeof listener == "function" ? listener.call(this, event) : listener.handleEvent(event);
    };
    const remove = () => call == this.#topics.get(topic)?.get(listener)?.[key] && this.removeEventListener(topic, listener, key);
    signal?.addEventListener("abort", remove, { once: true });
    super.addEventListener(topic, call, rest);
    if (!all) this.#topics.set(topic, (all = new Map()));
    all.set(listener, { ...all.get(listener), [key]: call });
    if (all.size == 1 && !all.get(listener)[!key]) this.#interest("__subscribe", topic);
  }

  removeEventListener(topic, listener, options) {
    const key = !!settings(options).capture;
    const all = this.#topics.get(topic);
    const calls = all?.get(listener);
    super.removeEventListener(topic, calls?.[key] ?? listener, key);
    if (!calls?.[key]) return;
    if (calls[!key]) return void delete calls[key];
    all.delete(listener);
    if (all.size) return;
    this.#topics.delete(topic);
    this.#interest("__unsubscribe", topic);
  }

  dispatchEvent(event) {
    if (!event.type.includes(":")) return super.dispatchEvent(event);
    const { type, id } = parse(event.type);
    const frame = JSON.stringify({ type, id, payload: event.detail }, (_, value) => value?.toWellFormed?.() ?? value);
    if (this.#options.sse || this.#state == "closed") throw new DOMException("cannot send", "InvalidStateError");
    const size = bytes(frame);
    if (size + this.#size + (this.#socket?.bufferedAmount ?? 0) > WINDOW) {
      throw new DOMException("too much", "QuotaExceededError");
    }
    this.#out.push({ frame, size });
    this.#size += size;
    if (this.#state == "open") this.#flush();
    return this.#deliver(type, event);
  }

  close() {
    if (this.#state != "closed") this.#end({ code: 1000 }, true);
  }

  get #asking() {
    return [...this.#topics.keys()];
  }

  // say sends a message of the protocol's own.
  #say(type, payload) {
    this.#socket.send(JSON.stringify({ type, id: "", payload }));
  }

  #interest(type, topic) {
    if (this.#options.sse) queueMicrotask(() => this.#state != "closed" && this.#dial());
    else if (this.#socket?.readyState == 1) this.#say(type, { topics: [topic] });
  }

  // hang lets go of the connection: what it still says is not heard.
  #hang(code) {
    this.#timers.forEach(clearTimeout);
    this.#timers = [];
    this.#socket = void this.#socket?.close(code);
  }

  async #dial() {
    this.#hang();
    this.#state = "connecting";
    const attempt = this.#timers;
    let url;
    try {
      url = await (typeof this.#url == "function" ? this.#url() : this.#url);
      url = new URL(url, globalThis.location);
      if (attempt == this.#timers) this.#options.sse ? this.#listen(url) : this.#connect(url);
    } catch (error) {
      if (attempt == this.#timers) this.#end({ reason: `${error}` });
    }
  }

  #connect(url) {
    const socket = (this.#socket = new (this.#options.WebSocket ?? WebSocket)(url, "eventtarget.v1"));
    const on = (name, handle) => socket.addEventListener(name, (event) => socket == this.#socket && handle(event));
    let waiting; // for the answer to the greeting
    on("open", () => {
      waiting = socket.protocol;
      if (!waiting) return this.#up();
      const { session, place } = this.#session;
      this.#say("__hello", { version: 1, session, place, received: this.#received, window: WINDOW, topics: this.#asking });
      this.#timers.push(setTimeout(() => waiting && this.#up((waiting = false)), 5e3)); // it only echoes what it was offered
    });
    on("message", ({ data }) => {
      this.#silent = 0;
      this.#hear(data, (message) => {
        const welcome = message.type == "__welcome" && message.payload;
        if (waiting) this.#up(welcome);
        else if (welcome) this.#end({ code: 1002, reason: "late" });
        waiting = false;
        if (!welcome) this.#message(message, data.length);
      });
    });
    on("close", (event) => this.#end(event));
    on("error", (event) => this.#end(event)); // the npm client "ws" throws what nobody listens to
  }

  #listen(url) {
    const topics = this.#asking;
    if (!topics.length) return;
    for (const topic of topics) url.searchParams.append(this.#asked.includes(topic) ? "topic" : "new", topic);
    url.searchParams.append("event", "message");
    url.searchParams.append("lastEventId", this.#lastEventId);
    const source = (this.#socket = new (this.#options.EventSource ?? EventSource)(url));
    source.onmessage = ({ data, lastEventId }) => {
      if (lastEventId) { // it knows none before one came
        this.#lastEventId = lastEventId;
        this.#asked = topics;
      }
      this.#hear(data, (message) => this.#message(message));
    };
    source.onopen = () => this.#opened(this.#lastEventId); // without an id there was no place to go on from
    source.onerror = () => this.#end({});
  }

  // hear ends a connection that brings what is no message.
  #hear(data, handle) {
    try {
      handle(JSON.parse(data));
    } catch (error) {
      this.#end({ code: 1007, reason: `${error}` });
    }
  }

  // up goes on with a session, or begins: without a welcome with a plain peer.
  #up(welcome) {
    const resumed = welcome?.resumed;
    if (resumed) {
      this.#acknowledged(welcome);
      this.#sent = 0;
    } else {
      // What was sent may have been heard: it is not sent again.
      this.#drop(this.#sent);
      this.#taken = this.#received = this.#unacked = 0;
      this.#session = { ...welcome };
      if (!welcome) this.#say("__subscribe", { topics: this.#asking });
    }
    if (welcome) this.#timers.push(setInterval(() => this.#beat(), this.#options.heartbeat / 2));
    this.#opened(resumed); // where a listener may close it
    this.#refused(welcome);
    this.#ack();
  }

  #opened(resumed) {
    const lost = this.#since && !resumed;
    this.#state = "open";
    this.#since = Date.now();
    this.#flush();
    this.#tell("open", { resumed: !!resumed });
    if (lost) this.#tell("gap", { count: 0 });
  }

  #refused(answer) {
    for (const topic in answer?.refused) this.#tell("refused", { topic, reason: answer.refused[topic] });
  }

  // beat asks for nothing when nothing was heard, to see whether there is an answer.
  #beat() {
    if (++this.#silent > 2) this.#end({ code: TIMEOUT, reason: "late" });
    else if (this.#silent > 1) this.#say("__subscribe", { topics: [] });
  }

  #message({ type, id, payload, headers, seq }, length) {
    if (type == "__ack") return this.#acknowledged(payload);
    if (type == "__gap") this.#tell("gap", payload);
    else if (type == "__refused") this.#tell("refused", payload);
    else if (type == "__subscribed") this.#refused(payload);
    else if (!type.startsWith("__")) this.#deliver(type, make(`${type}:${id}`, payload, { headers }));
    if (!this.#session.session) return;
    if (seq > this.#session.place?.seq) this.#session.place.seq = seq;
    this.#received++;
    this.#unacked += length;
    if (this.#unacked > WINDOW / 4 || Date.now() - this.#ackAt > ACK_AFTER) this.#ack();
    else this.#ackTimer ||= setTimeout(() => this.#ack((this.#ackTimer = 0)), ACK_AFTER);
  }

  #ack() {
    if (this.#state != "open" || !this.#unacked) return;
    this.#say("__ack", { received: this.#received });
    this.#unacked = 0;
    this.#ackAt = Date.now();
  }

  #flush() {
    while (this.#sent < this.#out.length) this.#socket.send(this.#out[this.#sent++].frame);
    if (!this.#session.session) this.#drop(this.#sent);
  }

  #acknowledged({ received = 0 }) {
    this.#drop(received - this.#taken);
    this.#taken = received;
  }

  #drop(count) {
    for (const { size } of this.#out.splice(0, count)) this.#size -= size;
    this.#sent = Math.max(0, this.#sent - count);
  }

  // end tells why a connection is no more, and goes on with another one.
  #end({ code = 1006, reason = "" }, closed = code == POLICY) {
    this.#hang(code == TIMEOUT ? code : 1000);
    const now = Date.now();
    if (this.#state == "open" && now - this.#since > 10e3) this.#failing = now;
    this.#state = closed ? "closed" : "down";
    let retry;
    if (closed) this.#stop.abort();
    else {
      const hint = /\bretry-ms=(\d+)$/.exec(reason)?.[1];
      retry = Math.min(300e3, hint ?? Math.random() * Math.min(30e3, this.#options.backoff + 2 * (now - this.#failing)));
      this.#timers.push(setTimeout(() => this.#dial(), retry));
    }
    this.#tell("down", { code, reason, retry });
  }

  // deliver hands an event to who listens to it, to its type and to everything.
  #deliver(type, event) {
    const topic = (event.topic = event.type);
    const { detail, headers } = event;
    const kept = super.dispatchEvent(event);
    for (const name of [`${type}:*`, "*"]) super.dispatchEvent(make(name, detail, { topic, headers }));
    return kept;
  }

  #tell(name, detail) {
    super.dispatchEvent(make(name, detail));
  }
}
