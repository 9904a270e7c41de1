#!/usr/bin/env bash
# Guessed: a ccxt bot behind HTTPS_PROXY goes through it, as everything that stands on requests or aiohttp does, or at least
#   with ccxt's own option `trust_env`, which is there for that, in the configuration.
# Seen: neither. Without an option it goes straight to the exchange; with {"trust_env": True} too, sync and asyncio, for ccxt
#   copies `trust_env` to the names that count before it has read the configuration. {"requests_trust_env": True} (sync) and
#   {"aiohttp_trust_env": True} (asyncio) work, and so does trust_env as an attribute of a class of one's own.
# Version: ccxt 4.5.90, requests and aiohttp as it takes them, Python 3.11
# Date: 2026-11-28
# Source: run here against a proxy that only listens; ccxt/base/exchange.py, Exchange.__init__
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [ -n "${CCXT:-}" ]; then python=$CCXT; else # a Python that has it
    python3.11 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check ccxt==4.5.90
    python=$folder/venv/bin/python
fi
cat > "$folder/ask.py" <<'PYTHON'
import asyncio, contextlib, os, socket, sys, threading

heard = []
proxy = socket.create_server(("127.0.0.1", 0))


def listen():
    while True:
        connection, _ = proxy.accept()
        heard.append(connection.recv(4096).split(b"\r\n")[0].decode())
        connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        connection.close()


threading.Thread(target=listen, daemon=True).start()
os.environ.update(dict.fromkeys(("HTTPS_PROXY", "https_proxy"), f"http://127.0.0.1:{proxy.getsockname()[1]}"))
for name in ("NO_PROXY", "no_proxy"):
    os.environ.pop(name, None)

import ccxt, ccxt.async_support, requests


class Trusting(ccxt.binance):
    trust_env = True


async def asked(options):
    exchange = ccxt.async_support.binance(options)
    try:
        await exchange.fetch_time()
    finally:
        await exchange.close()


def through_proxy(what, ask):
    heard.clear()
    with contextlib.suppress(Exception):  # nobody answers: the way that was tried is what counts
        ask()
    print(f"{what:58} {'through the proxy' if heard else 'past the proxy'}")
    return bool(heard)


limit = {"timeout": 5000}
seen = [through_proxy("requests", lambda: requests.get("https://api.binance.com/api/v3/time", timeout=5))]
for options in ({}, {"trust_env": True}, {"requests_trust_env": True, "aiohttp_trust_env": True}):
    seen.append(through_proxy(f"ccxt {options}", lambda: ccxt.binance(limit | options).fetch_time()))
    seen.append(through_proxy(f"ccxt asyncio {options}"[:58], lambda: asyncio.run(asked(limit | options))))
seen.append(through_proxy("ccxt, trust_env = True in a class", lambda: Trusting(limit).fetch_time()))
sys.exit(seen != [True, False, False, False, False, True, True, True])
PYTHON
"$python" "$folder/ask.py"
