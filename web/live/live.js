// The live page. What arrives is counted and kept, and shown a few times a second: the
// page draws as much for a thousand events a second as for ten.
import { RemoteEventTarget } from "./eventtarget.js";

const SHOW = 250; // ms between two drawings
const ROWS = 100; // in a table
const TEXT = 300; // characters of a payload
const TOPICS = 1000; // that are counted
const LATE = 10e3; // ms for an answer

const $ = (id) => document.getElementById(id);
const target = new RemoteEventTarget("ws");

const topics = new Map(); // topic → { events, rates }
let total = 0;
let gaps = 0;
let flow = []; // the newest last
let paused = false;
let listening = new AbortController();

function hear(event) {
  total++;
  let counted = topics.get(event.topic);
  if (!counted) {
    if (topics.size >= TOPICS) topics.delete(topics.keys().next().value);
    topics.set(event.topic, (counted = { events: 0, before: 0, rate: 0 }));
  }
  counted.events++;
  keep(event.topic, event.detail);
}

function keep(topic, detail, kind = "") {
  if (paused) return;
  flow.push({ time: Date.now(), topic, detail, kind });
  if (flow.length > 2 * ROWS) flow = flow.slice(-ROWS);
}

// rows shows cells in a table body, row by row. What came from others is text.
function rows(body, all, numbers) {
  while (body.rows.length > all.length) body.deleteRow(-1);
  all.forEach(({ cells, kind = "" }, i) => {
    const row = body.rows[i] ?? body.insertRow();
    if (row.className !== kind) row.className = kind;
    cells.forEach((text, j) => {
      let cell = row.cells[j];
      if (!cell) {
        cell = row.insertCell();
        if (j >= numbers) cell.className = "n";
      }
      if (cell.textContent !== text) cell.textContent = cell.title = text;
    });
  });
}

function put(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

const number = (n) => n.toLocaleString("en").replaceAll(",", "\u2009");
const shown = (detail) => (JSON.stringify(detail) ?? "").slice(0, TEXT);
const clock = (time) => new Date(time).toTimeString().slice(0, 8) + "." + String(time % 1000).padStart(3, "0");

let measured = { at: performance.now(), total: 0 };

function measure() {
  const now = performance.now();
  const seconds = (now - measured.at) / 1000;
  put("rate", number(Math.round((total - measured.total) / seconds)));
  for (const counted of topics.values()) {
    counted.rate = (counted.events - counted.before) / seconds;
    counted.before = counted.events;
  }
  measured = { at: now, total };
}

function draw() {
  put("total", number(total));
  put("gaps", number(gaps));
  const busiest = [...topics].sort(([, a], [, b]) => b.rate - a.rate || b.events - a.events).slice(0, ROWS);
  rows($("topics"), busiest.map(([topic, c]) => ({ cells: [topic, number(Math.round(c.rate)), number(c.events)] })), 1);
  if (paused) return;
  const newest = flow.slice(-ROWS).reverse();
  rows($("flow"), newest.map((f) => ({ cells: [clock(f.time), f.topic, (f.text ??= shown(f.detail))], kind: f.kind })), 3);
}

async function spokes() {
  try {
    const answer = await fetch("spokes", { signal: AbortSignal.timeout(LATE) });
    if (!answer.ok) return;
    const { count, spokes } = await answer.json();
    put("count", number(count));
    rows($("spokes"), spokes.map((s) => ({
      cells: [s.addr, s.transport, s.identity, s.state, s.topics.join(" "),
        number(s.sent), number(s.received), number(s.waiting), number(s.lost)],
    })), 5);
  } catch {
    put("count", "–");
  }
}

// ask asks a second after the last answer: one that does not come is not asked for again and
// again meanwhile.
async function ask() {
  if (!document.hidden) await spokes();
  setTimeout(ask, 1000);
}

function state() {
  $("dot").className = target.readyState;
  put("word", target.readyState === "down" ? "no connection, trying again" : target.readyState);
}

function trouble(text) {
  $("trouble").textContent = text;
}

target.addEventListener("open", state);
target.addEventListener("down", state);
target.addEventListener("gap", ({ detail }) => {
  gaps++;
  keep("gap", detail.count ? `${detail.count} events are missing` : "events are missing, nobody knows how many", "gap");
});
target.addEventListener("refused", ({ detail }) => trouble(`${detail.topic}: ${detail.reason}`));

function listen() {
  const all = $("listen").elements.topics.value.trim().split(/\s+/).filter(Boolean);
  // An event is to be counted once, however many of them it fits.
  const wanted = all.filter((t) => t === "*" || !(all.includes("*") || (!t.endsWith(":*") && all.includes(t.replace(/:.*/, ":*")))));
  const mine = (event) => hear(event);
  const before = listening;
  listening = new AbortController();
  trouble("");
  try {
    for (const topic of new Set(wanted)) {
      if (!/:|^\*$/.test(topic)) throw new TypeError(`"${topic}" is no topic: it is type:id, type:* or *`);
      target.addEventListener(topic, mine, { signal: listening.signal });
    }
  } catch (error) {
    trouble(error.message);
  }
  before.abort(); // after, so that what stays is not asked for anew
}

$("listen").addEventListener("submit", (event) => {
  event.preventDefault();
  listen();
});

$("dispatch").addEventListener("submit", (event) => {
  event.preventDefault();
  const { topic, payload } = event.target.elements;
  let detail;
  try {
    detail = JSON.parse(payload.value);
  } catch {
    detail = payload.value;
  }
  trouble("");
  try {
    if (!topic.value.includes(":")) throw new TypeError(`"${topic.value}" is no topic: it is type:id`);
    target.dispatchEvent(new CustomEvent(topic.value, { detail }));
  } catch (error) {
    trouble(error.message);
  }
});

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", paused);
  put("pause", paused ? "Go on" : "Pause");
});

listen();
ask();
setInterval(measure, 1000);
setInterval(() => document.hidden || requestAnimationFrame(draw), SHOW);
