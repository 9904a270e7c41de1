cd /tmp/spoken/ft; rm -f log
/tmp/rb/venv/bin/freqtrade trade --config config.json --userdir user --strategy Mine --db-url sqlite:// > log 2>&1 & p=$!
for i in $(seq 100); do grep -q "cannot start\|Changing state\|RUNNING" log && break; sleep 1; done; sleep 1
for n in $(seq $1); do kill -TERM $p; [ -n "$2" ] && sleep $2; done; wait $p; echo rc $?; tail -4 log | cut -c1-150; grep -c term_handler log
