#!/usr/bin/env bash
# Guessed: ccxt's option `maxRetriesOnFailure` repeats what may be repeated, reads: its manual says of RequestTimeout that nobody knows
#   whether the exchange has the order, and calls reads alone safe to retry.
# Seen: it repeats orders too, after a timeout and after a 502 of a front, each time signed anew (another nonce or timestamp), so
#   that the exchange sees two. On binance and coinbase ccxt gives an order an id of its own, the same in both; on kraken, gate,
#   bitget and mexc none, and the order is placed twice. `clientOrderId` in `params` is in both requests, but on coinbase, which
#   drops it for ccxt's own.
# Version: ccxt 4.5.90, Python 3.11
# Date: 2026-11-28
# Source: run here against a server that books an order and then loses the answer; ccxt/base/exchange.py, fetch2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [ -n "${CCXT:-}" ]; then python=$CCXT; else # a Python that has it
    python3.11 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check ccxt==4.5.90
    python=$folder/venv/bin/python
fi
cat > "$folder/order.py" <<'PYTHON'
import base64, json, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import ccxt

IDS = ("newClientOrderId", "client_order_id", "cl_ord_id", "clientOid", "text")  # what exchanges call it
booked, how = [], ""


class Front(BaseHTTPRequestHandler):
    """Has the exchange book the order; the first answer is lost on its way back."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        booked.append(json.loads(body) if body.startswith("{") else dict(parse_qsl(body or urlsplit(self.path).query)))
        first = len(booked) == 1
        if first and how == "timeout":
            time.sleep(1)
        status, said = (502, b"<html>502 Bad Gateway</html>") if first else (200, b'{"error": [], "result": {}}')
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)
        except OSError:
            pass  # it did not wait

    def log_message(self, *_):
        pass


def led_to(front, urls):
    return {name: led_to(front, url) for name, url in urls.items()} if isinstance(urls, dict) else front + urlsplit(urls).path


def placed(name, options, params):
    """Requests that placed the order, and the ids in them."""
    booked.clear()
    secret = base64.b64encode(b"secret").decode()
    exchange = getattr(ccxt, name)({"apiKey": "key", "secret": secret, "password": "p", "timeout": 500, "options": options})
    exchange.urls["api"] = led_to(f"http://127.0.0.1:{server.server_port}", exchange.urls["api"])
    exchange.set_markets([exchange.safe_market_structure({
        "id": "BTCUSD", "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "type": "spot", "spot": True, "active": True,
        "precision": {"amount": 1e-8, "price": 0.1}, "info": {"orderTypes": ["LIMIT"]},
    })])
    try:
        exchange.create_order("BTC/USD", "limit", "buy", 1, 100, params)
    except ccxt.BaseError:
        pass  # it was not repeated
    return len(booked), [next((sent[field] for field in IDS if field in sent), None) for sent in booked]


server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
threading.Thread(target=server.serve_forever, daemon=True).start()
retrying, seen, twice = {"maxRetriesOnFailure": 1}, [], []
for how in ("502", "timeout"):
    for name in ("kraken", "gate", "bitget", "mexc", "binance", "coinbase"):
        alone, _ = placed(name, {}, {})
        times, ids = placed(name, retrying, {})
        _, own = placed(name, retrying, {"clientOrderId": "mine-1"})
        kind = "no id" if ids == [None, None] else "one id" if len(set(ids)) == 1 else "two ids"
        kept = all("mine-1" in one for one in own)
        print(f"{how}: {name} gets the order {alone}×; with maxRetriesOnFailure {times}×, {kind}; clientOrderId {'kept' if kept else 'dropped'}")
        seen.append((alone, times, kind, len(own), kept))
print("ccxt", ccxt.__version__)
wanted = [(1, 2, "no id", 2, True)] * 4 + [(1, 2, "one id", 2, True), (1, 2, "one id", 2, False)]
sys.exit(seen != wanted * 2)
PYTHON
"$python" "$folder/order.py"
