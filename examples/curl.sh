#!/bin/sh
# A bot's whole life with curl: start, beat, report a trade, stop. Usage: examples/curl.sh [user]
set -eu
url=${LIMITER_URL:-http://127.0.0.1:5001}

post() { # path, body: prints the answer; a refusal ends the script with its sentence
    curl --silent --show-error --fail-with-body -H 'Content-Type: application/json' \
        ${LIMITER_KEY:+-H "Authorization: Bearer $LIMITER_KEY"} --data "$2" "$url$1"
}

started=$(post /api/bots/start "{\"user_id\": \"${1:-alice}\"}") || { echo "$started" >&2; exit 75; }
session=$(echo "$started" | sed -n 's/.*"session_id": *"\([^"]*\)".*/\1/p')

post /api/bots/heartbeat "{\"session_id\": \"$session\"}" # every heartbeat_seconds while the bot runs
echo
trade=$(date +%s)-$$ # a name of its own for each trade: sent again with the same one, it counts once
post /api/bots/trades "{\"session_id\": \"$session\", \"trade_id\": \"$trade\", \"symbol\": \"BTC/USDT\", \"side\": \"buy\", \"quantity\": \"0.01\", \"price\": \"64000\"}"
echo
post /api/bots/stop "{\"session_id\": \"$session\"}"
echo
curl --silent "$url/api/admin/capacity"
echo
