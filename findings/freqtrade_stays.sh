#!/usr/bin/env bash
# Guessed: a freqtrade that says "Could not load markets, therefore cannot start" ends, with a status that a supervisor
#   can act on.
# Seen: it logs that, cleans up, and stays: a thread of its websocket loop (`ccxt_ws`, not a daemon) keeps the interpreter
#   from ending. It holds its memory, trades nothing, and ends only by a signal. Nothing in its exit tells a supervisor.
# Version: freqtrade 2026.9, ccxt 4.5.90, Python 3.11
# Date: 2026-11-28
# Source: run here without a way to the exchange (any proxy that is not there does it too); freqtrade/exchange/exchange_ws.py
set -euo pipefail
folder=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
if [ -n "${FREQTRADE:-}" ]; then bin=$FREQTRADE; else # some 800 MB, minutes
    python3.11 -m venv venv
    venv/bin/pip install --quiet --disable-pip-version-check freqtrade==2026.9 ccxt==4.5.90
    bin=$folder/venv/bin/freqtrade
fi
"$bin" create-userdir --userdir user > /dev/null 2>&1
cat > config.json <<'JSON'
{"max_open_trades": 3, "stake_currency": "USDT", "stake_amount": 10, "dry_run": true, "dry_run_wallet": 1000,
 "timeframe": "5m", "strategy": "SampleStrategy", "pairlists": [{"method": "StaticPairList"}], "initial_state": "running",
 "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": ["BTC/USDT"], "pair_blacklist": [],
  "ccxt_config": {"httpsProxy": "http://127.0.0.1:9"}, "ccxt_async_config": {"httpsProxy": "http://127.0.0.1:9"}},
 "entry_pricing": {"price_side": "same", "use_order_book": true, "order_book_top": 1},
 "exit_pricing": {"price_side": "same", "use_order_book": true, "order_book_top": 1}}
JSON
"$bin" trade --config config.json --userdir user > log 2>&1 & pid=$!
for _ in $(seq 120); do grep -q "cannot start" log && break; sleep 1; done
grep -o "Could not load markets, therefore cannot start" log
sleep 30
kill -0 "$pid" || { wait "$pid" && status=0 || status=$?; echo "it has ended, with $status"; exit 1; }
echo "30 s later it still runs: $(awk '/^Rss/ {print $2}' /proc/$pid/smaps_rollup) kB, threads:" $(cat /proc/$pid/task/*/comm | sort | uniq -c | tr '\n' ' ')
