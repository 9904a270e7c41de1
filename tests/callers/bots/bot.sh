#!/bin/sh
# sh bot.sh URL USER curl|wget [OPTION…]: one session by curl or wget, with these options.
set -eu
url=$1 user=$2 way=$3
shift 3

send() { # path, body, wanted status, options…
    path=$1 body=$2 wanted=$3
    shift 3
    if [ "$way" = curl ]; then
        answer=$(curl -sS -w '\n%{http_code}' -H 'Content-Type: application/json' -d "$body" "$@" "$url/api/bots/$path")
    else
        answer=$(wget -q -O - -S --header 'Content-Type: application/json' --post-data "$body" "$@" "$url/api/bots/$path" 2>&1 |
            sed -n 's/^  HTTP[^ ]* \([0-9]*\).*/\1/; /^[0-9{]/p' | sed -n '1{h;d}; ${p;x;p}')
    fi
    [ "$(printf %s "$answer" | tail -n 1)" = "$wanted" ] || { echo "$path: $answer" >&2; exit 1; }
}

send start "{\"user_id\": \"$user\"}" 201 "$@"
name="\"session_id\": \"$(printf %s "$answer" | sed -n 's/.*"session_id":"\([^"]*\)".*/\1/p')\""
send heartbeat "{$name}" 200 "$@"
send trades "{$name, \"symbol\": \"BTC/USDT\", \"side\": \"buy\", \"quantity\": \"1\", \"price\": \"100\"}" 201 "$@"
send stop "{$name}" 200 "$@"
echo stopped
