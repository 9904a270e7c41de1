#!/usr/bin/env bash
# Guessed: `option httpchk /readyz` in HAProxy asks as a browser or curl would: GET, HTTP/1.1, with a Host header.
# Seen: with that one argument it sends `OPTIONS /readyz HTTP/1.0` and no Host at all, so a service that requires Host (as HTTP/1.1
#   does) or answers 405 to OPTIONS is taken out of the pool although every GET works. With a method as well, `option httpchk
#   GET /readyz`, it is GET, still by HTTP/1.0 and without Host; `http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host x`
#   is what brings the rest.
# Version: HAProxy 2.6.12 (Debian 12)
# Date: 2026-11-28
# Source: run here; HAProxy configuration manual, "option httpchk"
set -euo pipefail
folder=$(mktemp -d); pids=
trap 'kill $pids 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
haproxy=$(command -v haproxy || true)
if [ -z "$haproxy" ]; then # unpacked here, nothing is installed
    apt-get download -q haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 2>/dev/null
    for package in ./*.deb; do dpkg-deb -x "$package" root; done
    haproxy=$folder/root/usr/sbin/haproxy
    export LD_LIBRARY_PATH=$(dirname "$(find "$folder/root" -name 'liblua5.3*' | head -n 1)")
fi
"$haproxy" -v | head -n 1
cat > listen.py <<'PY'
import socket, sys

server = socket.create_server(("127.0.0.1", 0))
server.settimeout(15)
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
asked = b""
while b"\r\n\r\n" not in asked:
    asked += connection.recv(4096)
connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
print(asked.decode().strip().replace("\r\n", " | "), flush=True)
PY
seen=
whole=$'option httpchk\n http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host x'
for check in "option httpchk /readyz" "option httpchk GET /readyz" "$whole"; do
    rm -f asked
    python3 listen.py > asked & listener=$!
    pids="$pids $listener"
    until [ -s asked ] 2>/dev/null; do sleep 0.1; done
    printf '%s\n' "global" "defaults" " mode http" " timeout connect 2s" " timeout client 2s" " timeout server 2s" \
        "frontend door" " bind unix@$folder/door" " default_backend one" "backend one" " $check" " server a 127.0.0.1:$(head -n 1 asked) check inter 500" > haproxy.cfg
    "$haproxy" -f haproxy.cfg -q & proxy=$!
    pids="$pids $proxy"
    wait "$listener"
    kill "$proxy"
    said=$(sed -n 2p asked)
    echo "$check → $said"
    seen="$seen$said;"
done
case "$seen" in
"OPTIONS /readyz HTTP/1.0;GET /readyz HTTP/1.0;GET /readyz HTTP/1.1 | host: x"*) ;;
*) echo "not what was seen: $seen"; exit 1 ;;
esac
