#!/usr/bin/env bash
# Guessed: a POST that offers `Upgrade: h2c`, as Java's HttpClient does with its first request to an http:// address, reaches an
#   application behind uvicorn whole: uvicorn does not speak h2c, says so, and answers by HTTP/1.1 (RFC 9110 lets it).
# Seen: it answers 200 by HTTP/1.1, and the application has got an empty body: httptools takes the offer for an upgrade and ends
#   the message behind its headers. With --http h11 the same bytes bring the body. Java's second request on the connection
#   offers nothing and is fine, so a bot sees its first POST fail and the next one work.
# Version: uvicorn 0.54.0, httptools 0.9.0, h11 0.16.0, Python 3.11
# Date: 2026-11-28
# Source: run here; uvicorn/protocols/http/httptools_impl.py (_should_upgrade), httptools on_headers_complete
set -euo pipefail
folder=$(mktemp -d); pids=
trap 'kill $pids 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
cat > app.py <<'PY'
async def app(scope, receive, send):
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"%d bytes came" % len(body)})
PY
cat > ask.py <<'PY'
import socket, sys, time

for _ in range(100):
    try:
        to = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
        break
    except OSError:
        time.sleep(0.1)
head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 16\r\n"
offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
to.sendall(head + offer + b'\r\n{"user_id": "u"}')
answer = b""
while b"came" not in answer and (part := to.recv(4096)):
    answer += part
status, chunk = answer.split(b"\r\n")[0], next(line for line in answer.split(b"\r\n") if b"came" in line)
print(status.decode(), chunk.decode())
PY
seen=
for kind in httptools h11; do
    port=$(venv/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    venv/bin/uvicorn app:app --http $kind --port "$port" --lifespan off --log-level critical & pids="$pids $!"
    said=$(venv/bin/python ask.py "$port")
    echo "$kind: $said"
    seen="$seen$kind: $said;"
done
[ "$seen" = "httptools: HTTP/1.1 200 OK 0 bytes came;h11: HTTP/1.1 200 OK 16 bytes came;" ]
