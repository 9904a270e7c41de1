#!/usr/bin/env bash
# Guessed: a bot behind `uv run bot.py` hears the stop of its supervisor once, as without uv: uv forwards signals.
# Seen: what signals the group or every process of a service (systemd's default KillMode=control-group, supervisor's
#   `stopasgroup`) reaches the bot twice: itself, and by uv, which forwards what it gets. A bot that ends at once at its second
#   signal ("again to force") never closes its orders. SIGTERM to uv alone is heard once. (pnpm 12.21.0 and `node --watch` of
#   Node 20.20.2 do the same.)
# Version: uv 0.13.9, Python 3.11
# Date: 2026-11-28
# Source: run here; crates/uv/src/child.rs; systemd.kill(5)
set -euo pipefail
folder=$(mktemp -d); uv=
trap '[ -z "$uv" ] || kill -9 -- -"$uv" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
cat > bot.py <<'PY'
import os, signal, time
def heard(number, frame):
    os.write(log, b"SIGTERM\n")
log = os.open("heard", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
signal.signal(signal.SIGTERM, heard)
open("up", "w").close()
end = time.monotonic() + 60
while time.monotonic() < end and not os.fstat(log).st_size:
    time.sleep(0.05)
time.sleep(1)  # closes its orders
PY
heard() { # how the stop is sent: the pid, or the group with a minus before it
    rm -f up heard
    setsid venv/bin/uv run --no-project --offline --python "$folder/venv/bin/python" bot.py > out 2>&1 & uv=$!
    for _ in $(seq 100); do [ -e up ] && break; sleep 0.1; done
    sleep 0.3
    kill -TERM -- "$1$uv"
    wait "$uv" || true
    uv=
    count=$(grep -c SIGTERM heard)
}
heard ""; echo "SIGTERM to uv alone:      heard $count time(s)"; [ "$count" = 1 ]
heard "-"; echo "SIGTERM to uv's group:    heard $count time(s)"; [ "$count" = 2 ]
