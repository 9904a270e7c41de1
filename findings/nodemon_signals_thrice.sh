#!/usr/bin/env bash
# Guessed: a SIGTERM to `nodemon bot.js` (a supervisor's stop) reaches the bot as one SIGTERM, or as one signal of another name.
# Seen: the bot hears three: SIGTERM, SIGINT, SIGINT, within milliseconds; a SIGINT to nodemon becomes two. A bot that closes its
#   orders at the first and ends at once at its second ("again to force") never closes them.
# Version: nodemon 3.1.14, node 20.20.2
# Date: 2026-11-28
# Source: run here; nodemon/lib/monitor/run.js: on SIGTERM it emits `quit` (SIGINT to the child), then kills it with SIGTERM, and
#   its own end emits `quit` again
set -euo pipefail
folder=$(mktemp -d); nodemon=
trap '[ -z "$nodemon" ] || kill -9 "$nodemon" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix "$folder/tool" nodemon@3.1.14
cat > bot.js <<'JS'
for (const name of ["SIGTERM", "SIGINT"]) process.on(name, () => {
  require("fs").appendFileSync("heard", name + "\n");
  setTimeout(() => process.exit(0), 1000); // closes its orders
});
require("fs").writeFileSync("up", "");
setInterval(() => {}, 1000);
JS
heard() { # signal: what the bot hears of it
    rm -f up heard
    "$folder/tool/node_modules/.bin/nodemon" --quiet bot.js > /dev/null 2>&1 < /dev/null & nodemon=$!
    for _ in $(seq 100); do [ -e up ] && break; sleep 0.1; done
    sleep 0.5
    kill "-$1" "$nodemon"
    wait "$nodemon" || true
    nodemon=
    sleep 1.5
    said=$(sort heard | tr '\n' ' ')
    echo "nodemon gets SIG$1 → the bot hears: $(tr '\n' ' ' < heard)"
}
heard TERM; [ "$said" = "SIGINT SIGINT SIGTERM " ]
heard INT; [ "$said" = "SIGINT SIGINT " ]
