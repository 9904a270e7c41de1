#!/usr/bin/env bash
# Guessed: `curl --http1.0 https://…` (what a script for an old monitor uses) asks a Caddy over TLS as it asks it in the clear, and
#   is answered: Caddy answers HTTP/1.0 on a plain port.
# Seen: over TLS there is no answer at all: curl names `http/1.0` alone in ALPN, Caddy offers h2 and http/1.1, and Go's TLS ends a
#   handshake without a protocol in common (alert 120, no_application_protocol). curl ends with 35, a TLS error that looks like a
#   bad certificate. With --no-alpn the same request by HTTP/1.0 is answered.
# Version: curl 7.88.1 and Caddy 2.6.2 (Debian 12)
# Date: 2026-11-28
# Source: run here; RFC 7301 section 3.2; Go crypto/tls negotiateALPN
set -euo pipefail
folder=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
caddy=$(command -v caddy || true)
if [ -z "$caddy" ]; then # unpacked here, nothing is installed
    apt-get download -q caddy 2>/dev/null
    dpkg-deb -x caddy_*.deb root
    caddy=$folder/root/usr/bin/caddy
fi
"$caddy" version; curl --version | head -n 1
free() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
tls=$(free) plain=$(free)
cat > Caddyfile <<CADDY
{
	admin off
	auto_https disable_redirects
	skip_install_trust
	storage file_system $folder/storage
}
https://localhost:$tls {
	tls internal
	respond "tls"
}
http://localhost:$plain {
	respond "plain"
}
CADDY
HOME=$folder "$caddy" run --config Caddyfile 2> log & pid=$!
for _ in $(seq 100); do curl -sk "https://localhost:$tls" > /dev/null && break; sleep 0.1; done
ask() { local status=0; said=$(curl -sk --http1.0 -w ' by HTTP/%{http_version}' "$@") || status=$?; echo "$* → ${said:-nothing}, status $status"; said="$status $said"; }
ask "http://localhost:$plain"; [ "${said:0:7}" = "0 plain" ]
ask "https://localhost:$tls"; [ "${said%% *}" = 35 ]
ask --no-alpn "https://localhost:$tls"; [ "${said:0:5}" = "0 tls" ]
