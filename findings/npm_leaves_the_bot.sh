#!/usr/bin/env bash
# Guessed: a SIGTERM to `npm run bot` ends the bot, as pressing Ctrl-C does; npm is its parent and says that it forwards.
# Seen: npm passes SIGTERM on to the shell that it runs the script in. That shell ends and npm ends with 143, but
#   `node bot.js`, the shell's child, hears nothing and goes on. Whoever counts by npm's end counts a bot too few.
# Version: npm 11.19.1, node 20.20.2, /bin/sh = dash 0.5.12 (Debian 12), Linux 6.18
# Date: 2026-11-28
# Source: run here; npm's @npmcli/promise-spawn and run-script signal-manager
set -euo pipefail
folder=$(mktemp -d); bot=
trap '[ -z "$bot" ] || kill -9 "$bot" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix "$folder/tool" npm@11.19.1
npm() { "$folder/tool/node_modules/.bin/npm" "$@"; }
echo '{"name": "bot", "version": "1.0.0", "scripts": {"bot": "node bot.js"}}' > package.json
cat > bot.js <<'JS'
for (const name of ["SIGTERM", "SIGINT"]) process.on(name, () => { console.log("heard", name); process.exit(0); });
require("fs").writeFileSync("pid", String(process.pid));
setInterval(() => {}, 1000);
JS
"$folder/tool/node_modules/.bin/npm" run bot > out 2>&1 & npm_pid=$!
for _ in $(seq 100); do [ -s pid ] && break; sleep 0.1; done
bot=$(cat pid)
kill -TERM "$npm_pid"
status=0; wait "$npm_pid" || status=$?
sleep 1
echo "npm $(npm --version), node $(node --version): npm ended with $status"
kill -0 "$bot" || { echo "the bot has ended too: $(cat out)"; exit 1; }
! grep -q heard out || { echo "the bot heard it"; exit 1; }
echo "the bot (pid $bot, now a child of $(ps -o comm= -p "$(ps -o ppid= -p "$bot" | tr -d ' ')")) goes on, and heard nothing"
