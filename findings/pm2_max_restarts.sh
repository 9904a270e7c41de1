#!/usr/bin/env bash
# Guessed: pm2's `max_restarts` (16) ends a program that is restarted more often than that, also with `restart_delay`; and
#   one that ended with one of its `stop_exit_codes` is shown as stopped.
# Seen: only restarts within min_uptime × max_restarts (1 s × 16) of the first start are counted, so with a `restart_delay`
#   above min_uptime, or with back-off, a program that never comes up is restarted for ever. With `exp_backoff_restart_delay`, one
#   that ended with a code of `stop_exit_codes` is not restarted, but stays listed as `waiting restart`.
# Version: pm2 7.0.4, node 20.20.2
# Date: 2026-11-28
# Source: run here; pm2/lib/God.js, handleExit
set -euo pipefail
folder=$(mktemp -d)
export PM2_HOME=$folder/home
pm2() { "$folder/node_modules/.bin/pm2" "$@"; }
trap 'pm2 kill > /dev/null 2>&1 || true; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix "$folder" pm2@7.0.4
cat > apps.config.js <<'JS'
const app = (name, status, more) => ({ name, script: "/bin/sh", interpreter: "none", args: ["-c", `echo >> ${__dirname}/${name}; exit ${status}`], ...more });
module.exports = { apps: [
  app("alone", 75, {}),
  app("delayed", 75, { restart_delay: 2000, max_restarts: 3 }),
  app("ended", 78, { exp_backoff_restart_delay: 100, stop_exit_codes: [78] }),
] };
JS
pm2 start apps.config.js > /dev/null
sleep 20
count() { wc -l < "$folder/$1"; }
state() { pm2 jlist | node -e 'const apps = JSON.parse(require("fs").readFileSync(0, "utf8").split("\n").pop()); console.log(apps.find(a => a.name === process.argv[1]).pm2_env.status)' "$1"; }
echo "pm2 7.0.4, in 20 s:"
echo "  by default:                        $(count alone) starts, now $(state alone)"
echo "  restart_delay 2 s, max_restarts 3: $(count delayed) starts, now $(state delayed)"
echo "  ended with a code to stop at:      $(count ended) start, now $(state ended)"
[[ $(count alone) -eq 16 && $(state alone) = errored ]]
[[ $(count delayed) -gt 5 && $(state delayed) != errored ]]
[[ $(count ended) -eq 1 && $(state ended) = "waiting restart" ]]
