#!/usr/bin/env bash
# Guessed: supervisor's `exitcodes=0,77,78` keeps a program that ends with 78 from being started again.
# Seen: only where it ran for `startsecs` (1 s) before. One that ends sooner is started again and again (BACKOFF)
#   whatever it ends with; `exitcodes` is looked at once it was RUNNING. With `startsecs=0` they count at once, but then an
#   unexpected end (75) is answered by a start without any back-off, each second or more often, for ever.
# Version: supervisor 4.3.0; 4.2.5 (Debian 12) too, there with 11 starts a second beside other restarting programs
# Date: 2026-11-28
# Source: run here; supervisor/process.py, finish(): `too_quickly` is asked before `exit_expected`
set -euo pipefail
folder=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "supervisor==${SUPERVISOR:-4.3.0}" "setuptools<81"
program() { # name, status, setting…
    printf '[program:%s]\ncommand=sh -c "echo >> %s/%s; exit %s"\nexitcodes=0,77,78\n' "$1" "$folder" "$1" "$2"
    shift 2
    printf '%s\n' "$@"
}
{
    printf '[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=%s/pid\n' "$folder"
    program sooner 78
    program later 78 startsecs=0
    program refused 75 startsecs=0
} > "$folder/conf"
"$folder/venv/bin/supervisord" --configuration "$folder/conf" > /dev/null 2>&1 & pid=$!
sleep 12
count() { wc -l < "$folder/$1"; }
echo "supervisor ${SUPERVISOR:-4.3.0}, in 12 s:"
echo "  an expected status before startsecs: $(count sooner) starts"
echo "  the same with startsecs=0:           $(count later) start"
echo "  an unexpected one with startsecs=0:  $(count refused) starts"
[[ $(count sooner) -eq 4 && $(count later) -eq 1 && $(count refused) -ge 8 ]]
