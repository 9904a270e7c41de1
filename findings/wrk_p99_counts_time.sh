#!/usr/bin/env bash
# Guessed: the percentiles of wrk are of the requests that were sent, as those of ab and hey: a pause of 100 ms, in which one request of
#   each of 64 connections waits, is 64 requests of 200 000, and does not move p99. It is wrk2 that corrects coordinated omission.
# Seen: wrk corrects too, and only its change log says so (4.0.0). Before it prints, it adds to each latency those of the requests that
#   were not sent meanwhile, one for each mean time between two of a connection (stats_correct). So its percentiles count time, not
#   requests: the 64 become 3 300, and p99 of the run of 3 s is 67 ms; a client that counts each request once finds 64, and 4 ms. Its
#   p99 can be compared with another tool's only where nothing pauses.
# Version: wrk 4.1.0 (Debian 12), Python 3.11 as the server
# Date: 2026-11-28
# Source: run here; wrk/src/wrk.c and src/stats.c, stats_correct()
set -euo pipefail
folder=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
wrk=$(command -v wrk || true)
if [ -z "$wrk" ]; then # unpacked here, nothing is installed
    apt-get download -q wrk libluajit-5.1-2 libluajit-5.1-common 2>/dev/null
    for package in ./*.deb; do dpkg-deb -x "$package" root; done
    wrk=$folder/root/usr/bin/wrk
    export LD_LIBRARY_PATH=$(dirname "$(find "$folder/root" -name 'libluajit*' | head -n 1)")
fi
"$wrk" --version 2>&1 | head -n 1 || true
cat > serve.py <<'PY'
"""Answers at once; a GET of /pause has it sleep for 100 ms, one second later."""
import asyncio, time

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Door(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if data.startswith(b"GET /pause"):
            asyncio.get_running_loop().call_later(1, time.sleep, 0.1)
        self.transport.write(WHOLE)


async def main():
    server = await asyncio.get_running_loop().create_server(Door, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
PY
cat > count.lua <<'LUA'
done = function(summary, latency, requests)
  local shown, slow = 0, 0
  for i = 1, #latency do
    local value, count = latency(i)
    shown = shown + count
    if value >= 50000 then slow = slow + count end
  end
  io.write(string.format("%d %d %d %.1f\n", summary.requests, shown, slow, latency:percentile(99) / 1000))
end
LUA
cat > ask.py <<'PY'
"""The same load, each latency counted once: requests, those from 50 ms on, p99 in ms."""
import asyncio, sys, time

took, end = [], time.perf_counter() + 3


class Asking(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def ask(self):
        self.at = time.perf_counter()
        self.transport.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    def data_received(self, data):
        took.append(time.perf_counter() - self.at)
        self.ask() if time.perf_counter() < end else self.transport.close()


async def main():
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.create_connection(Asking, "127.0.0.1", int(sys.argv[1])) for _ in range(64)))
    await asyncio.sleep(end - time.perf_counter() + 0.5)


asyncio.run(main())
took.sort()
print(len(took), len(took), sum(one >= 0.05 for one in took), f"{took[len(took) * 99 // 100] * 1000:.1f}")
PY
python3 serve.py > port & server=$!
until [ -s port ]; do sleep 0.1; done
port=$(cat port)
run() { # what, its command: answered, latencies, those from 50 ms on, p99
    curl -s "http://127.0.0.1:$port/pause" > /dev/null
    read -r answered shown slow p99 <<< "$("${@:2}" | tail -n 1)"
    echo "$1: $answered requests answered, percentiles of $shown latencies, $slow of them from 50 ms on, p99 $p99 ms"
}
for try in 1 2 3; do # a busy machine pauses too
    run "wrk" "$wrk" -t1 -c64 -d3s -s count.lua "http://127.0.0.1:$port/"
    by_time=$((shown > answered + 3 * 64 && slow > 3 * 64 && ${p99%.*} >= 50))
    run "each request counted once" python3 ask.py "$port"
    by_request=$((slow >= 64 && ${p99%.*} < 50))
    if [ "$by_time$by_request" = 11 ]; then exit 0; fi
done
exit 1
