#!/usr/bin/env bash
# Guessed: `pdm run bot.py` under a supervisor that stops with SIGINT (pm2's default, `KillSignal=SIGINT`, `stopsignal=INT`) ends
#   the bot as SIGTERM does: pdm is its parent and forwards signals.
# Seen: it forwards SIGTERM alone. SIGINT to pdm is ignored: nothing ends, and the supervisor's SIGKILL then ends pdm, while the
#   bot goes on without a parent, still trading. It is meant for Ctrl-C, which a terminal sends to both. (SIGHUP ends pdm at
#   once and leaves the bot, too.)
# Version: pdm 2.29.4, Python 3.11
# Date: 2026-11-28
# Source: run here; pdm/cli/commands/run.py, _run_process (SIG_IGN for SIGINT since gh-3732)
set -euo pipefail
folder=$(mktemp -d); pdm=; bot=
trap 'kill -9 $pdm $bot 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pdm==2.29.4
printf '[project]\nname = "bot"\nversion = "1"\nrequires-python = ">=3.11"\n' > pyproject.toml
venv/bin/pdm use --quiet "$folder/venv/bin/python"
cat > bot.py <<'PY'
import os, signal, sys, time
def heard(number, frame):
    print(signal.Signals(number).name, file=open("heard", "a"), flush=True)
    sys.exit(0)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, heard)
open("pid.new", "w").write(str(os.getpid())); os.rename("pid.new", "pid")
while True:
    time.sleep(1)
PY
start() {
    rm -f pid heard; touch heard
    venv/bin/pdm run python bot.py > out 2>&1 & pdm=$!
    for _ in $(seq 200); do [ -e pid ] && break; sleep 0.1; done
    bot=$(cat pid)
    sleep 0.3
}
start; kill -TERM "$pdm"; status=0; wait "$pdm" || status=$?
echo "SIGTERM to pdm → the bot hears $(cat heard), pdm ends with $status"
[ "$(cat heard)" = SIGTERM ]
start; kill -INT "$pdm"; sleep 3
echo "SIGINT to pdm  → the bot hears '$(cat heard)', pdm $(kill -0 "$pdm" && echo "runs on")"
[ ! -s heard ]; kill -0 "$pdm"
kill -KILL "$pdm"; wait "$pdm" 2>/dev/null || true; sleep 1
kill -0 "$bot"
echo "SIGKILL to pdm → the bot (pid $bot) goes on"
