// A bot in Node 18 or newer, with nothing but fetch. Usage: node examples/bot.mjs [user] [seconds]
import { randomUUID } from "node:crypto";

const url = process.env.LIMITER_URL ?? "http://127.0.0.1:5001";
const [user = "alice", seconds = "10"] = process.argv.slice(2);
const key = process.env.LIMITER_KEY;

async function post(path, body, headers = {}) {
  const answer = await fetch(url + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }), ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5000),
  });
  const json = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(json.error), { reason: json.reason, status: json.status });
  return json;
}

// A start with its Idempotency-Key, a trade with its trade_id and a stop count once, however often they are sent: where the
// answer was lost, or nothing was decided, they are sent again. A signal counts each time, so it goes through `post`, once.
async function insist(path, body, headers) {
  for (let wait = 100; ; wait *= 2) {
    try {
      return await post(path, body, headers);
    } catch (failed) {
      const decided = failed.reason && !["draining", "overloaded", "storage_unavailable"].includes(failed.reason);
      if (decided || wait > 2000) throw failed;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

let session;
try {
  ({ session } = await insist("/api/bots/start", { user_id: user }, { "Idempotency-Key": randomUUID() }));
} catch (refused) {
  console.error(refused.message);
  process.exit(75);
}
const { session_id } = session;
console.log(`running as ${session.public_id}`);

// The slot is ours until five sixths of the lease after the last beat that was answered: then stop, whatever the reason.
let lost = false;
let sure = Date.now() + (session.lease_seconds * 5000) / 6;
const beats = setInterval(async () => {
  const sent = Date.now();
  try {
    await post("/api/bots/heartbeat", { session_id });
    sure = sent + (session.lease_seconds * 5000) / 6;
  } catch (refused) {
    if (refused.status === 410 || refused.status === 404) lost = true;
  }
}, session.heartbeat_seconds * 1000);

const end = Date.now() + Number(seconds) * 1000;
while (Date.now() < end && !lost && Date.now() < sure) {
  try {
    await post("/api/bots/signals", { session_id });
    const trade = await insist("/api/bots/trades", {
      session_id, trade_id: randomUUID(), symbol: "BTC/USDT", side: "buy", quantity: "0.01", price: "64000",
    });
    console.log(`traded, ${trade.trades_left} trades left today`);
  } catch (refused) {
    console.log(refused.message); // a limit of the day or of the minute: the bot keeps its slot
  }
  await new Promise((resolve) => setTimeout(resolve, 1000));
}

clearInterval(beats);
await insist("/api/bots/stop", { session_id }).catch(() => {}); // the lease gives the slot back otherwise
