/** What arrives: `detail` is the payload. */
export interface RemoteEvent<T = unknown> extends CustomEvent<T> {
  /** "type:id" of the event, also where "type:*" or "*" was listened to. */
  readonly topic: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The target's own events, which have no ":" in their names. */
export interface StatusEvents {
  /** There is a connection. `resumed`: nothing is missing between it and the one before. */
  open: CustomEvent<{ resumed: boolean }>;
  /** The connection is gone. `retry`: ms until the next attempt; absent when there will be none. */
  down: CustomEvent<{ code: number; reason: string; retry?: number }>;
  /** `count` events are missing before the next one; 0: an unknown number. */
  gap: CustomEvent<{ count: number }>;
  /** The hub does not let us listen or dispatch to a topic. */
  refused: CustomEvent<{ topic: string; reason: string }>;
}

export interface Options {
  /** Server-Sent Events instead of WebSocket: the target then only receives. */
  sse?: boolean;
  /** ms without a word from the hub after which it is given up; default 15000. */
  heartbeat?: number;
  /**
   * ms of the first pause, at most, before another attempt; default 250. Later ones are
   * random, up to twice the time that it has been failing, and at most 30 s.
   */
  backoff?: number;
  /** Stand-ins for the platform's. */
  WebSocket?: unknown;
  EventSource?: unknown;
}

type Topic = `${string}:${string}` | "*";
type Listener<E extends Event> = ((event: E) => unknown) | { handleEvent(event: E): unknown } | null;

/** An EventTarget whose other half is a hub. */
export class RemoteEventTarget extends EventTarget {
  /**
   * Connects at once. A function is asked for the address before each connection, with a
   * fresh token in it for example.
   */
  constructor(url: string | URL | (() => string | URL | Promise<string | URL>), options?: Options);

  readonly readyState: "connecting" | "open" | "down" | "closed";

  addEventListener<K extends keyof StatusEvents>(
    name: K, listener: Listener<StatusEvents[K]>, options?: boolean | AddEventListenerOptions): void;
  /** Subscribes with the first listener. Throws a TypeError for what is no topic. */
  addEventListener<T = any>(
    topic: Topic, listener: Listener<RemoteEvent<T>>, options?: boolean | AddEventListenerOptions): void;

  removeEventListener<K extends keyof StatusEvents>(
    name: K, listener: Listener<StatusEvents[K]>, options?: boolean | EventListenerOptions): void;
  /** Unsubscribes with the last listener. */
  removeEventListener(topic: Topic, listener: Listener<RemoteEvent<any>>, options?: boolean | EventListenerOptions): void;

  /**
   * Sends a CustomEvent named "type:id" with its detail as the payload; while there is no
   * connection it waits. Throws a TypeError for what is no topic, and a DOMException:
   * QuotaExceededError when 1 MiB waits, InvalidStateError when the target is closed or
   * cannot send.
   */
  dispatchEvent(event: Event): boolean;

  /** Ends the connection, the session and the attempts, for good. */
  close(): void;
}
