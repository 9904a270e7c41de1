// node bot.mjs URL USER fetch|agent: one session by fetch (undici), or by node:http with an Agent that keeps connections.
import http from "node:http";

const [url, user, way] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const headers = { "Content-Type": "application/json" };
const ports = new Set();

const by = {
  async fetch(path, body) {
    const answer = await fetch(url + path, { method: "POST", headers, body });
    return [answer.status, await answer.text()];
  },
  agent: (path, body) =>
    new Promise((resolve, reject) => {
      const request = http.request(url + path, { method: "POST", headers, agent }, (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (part) => (text += part));
        answer.on("end", () => resolve([answer.statusCode, text]));
      });
      request.on("socket", (socket) => socket.once("connect", () => ports.add(socket.localPort)));
      request.on("error", reject);
      request.end(body); // in chunks, for no Content-Length was given
    }),
};

async function post(path, body, wanted) {
  const [status, text] = await by[way](`/api/bots/${path}`, JSON.stringify(body));
  if (status !== wanted) throw new Error(`${path}: ${status} ${text}`);
  return JSON.parse(text);
}

const { session_id } = (await post("start", { user_id: user }, 201)).session;
await post("heartbeat", { session_id }, 200);
await post("trades", { session_id, symbol: "BTC/USDT", side: "buy", quantity: "1", price: "100" }, 201);
await post("stop", { session_id }, 200);
if (ports.size > 1) throw new Error(`${ports.size} connections, where one was to be kept`);
console.log("stopped");
agent.destroy();
