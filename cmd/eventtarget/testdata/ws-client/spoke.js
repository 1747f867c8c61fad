// A plain spoke on the npm client "ws": it says it is ready, answers every question
// it hears once as text and once as binary, and ends when it is told to.
const WebSocket = require("ws");

const ws = new WebSocket(process.argv[2]);
ws.on("open", () => ws.send(JSON.stringify({ type: "spoke.ready", id: "npm", payload: null })));
ws.on("message", (data, isBinary) => {
  const { type, id, payload } = JSON.parse(data);
  if (type === "spoke.end") ws.close(1000, "done");
  if (type !== "spoke.ask") return;
  const answer = JSON.stringify({ type: "spoke.answer", id, payload: { isBinary, payload } });
  ws.send(answer);
  ws.send(Buffer.from(answer), { binary: true });
});
ws.on("close", (code, reason) => console.log(`closed ${code} ${reason}`));
ws.on("error", (err) => {
  console.error(err);
  process.exit(1);
});
