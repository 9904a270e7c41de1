"""What a connection sends, and what replies mean: what is not the limiter's success is a Refused with a sentence."""

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from limiter.calling import is_loopback
from limiter.client.wire import Connection, Refused

PROBLEM = {
    "type": "about:blank",
    "title": "Server full",
    "status": 503,
    "detail": "Serveur complet (200/200 bots actifs). Réessaie dans quelques minutes.",
    "success": False,
    "error": "Serveur complet (200/200 bots actifs). Réessaie dans quelques minutes.",
    "reason": "server_full",
    "request_id": "r-1",
    "capacity": {"current_bots": 200},
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIMITER_URL", "LIMITER_KEY", "LIMITER_LANG"):
        monkeypatch.delenv(name, raising=False)


def refused(reply: httpx.Response | httpx.RequestError, language: str = "en") -> Refused:
    refusal = Connection(language=language).refusal(reply)
    assert refusal is not None
    return refusal


def test_a_problem_becomes_a_refusal_with_its_own_facts() -> None:
    got = refused(httpx.Response(503, json=PROBLEM, headers={"Retry-After": "30"}))
    assert (got.reason, got.status, str(got)) == ("server_full", 503, PROBLEM["error"])
    assert (got.request_id, got.retry_after, got.extra) == ("r-1", 30.0, {"capacity": {"current_bots": 200}})


@pytest.mark.parametrize(
    ("reply", "reason", "status"),
    [
        (httpx.ConnectError("refused"), "out_of_reach", 0),
        (httpx.ReadTimeout(""), "out_of_reach", 0),
        (httpx.Response(502, html="<h1>Bad Gateway</h1>"), "out_of_reach", 502),
        (httpx.Response(429, html="<h1>Too Many Requests</h1>"), "out_of_reach", 429),
        (httpx.Response(404, html="<h1>Not Found</h1>"), "not_a_limiter", 404),
        (httpx.Response(200, json=["a list"]), "not_a_limiter", 200),
        (httpx.Response(200, content=b"{", headers={"Content-Type": "application/json"}), "not_a_limiter", 200),
        (httpx.Response(302, headers={"Location": "/login"}), "not_a_limiter", 302),
        (httpx.Response(500, json={"detail": "elsewhere"}), "not_a_limiter", 500),
    ],
)
def test_what_is_not_the_limiter_is_refused_with_a_sentence_that_names_the_address(
    reply: httpx.Response | httpx.RequestError, reason: str, status: int
) -> None:
    got = refused(reply)
    assert (got.reason, got.status) == (reason, status)
    assert "http://127.0.0.1:5001" in str(got)


def test_own_sentences_are_in_french_unless_english_is_asked_for() -> None:
    error = httpx.ConnectError("x")
    assert str(refused(error, "fr")).startswith("Le limiteur ne répond pas")
    assert str(refused(error, "en-GB,en;q=0.9")).startswith("No limiter answers")


def test_success_is_no_refusal() -> None:
    assert Connection().refusal(httpx.Response(201, json={"success": True})) is None
    assert Connection().refusal(httpx.Response(200, text="at,bots\n")) is None


class Recorder(BaseHTTPRequestHandler):
    """Answers every GET with `{}`; keeps what was asked, and with which headers."""

    asked: ClassVar[list[tuple[str, str | None, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"], self.headers["Accept-Language"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class OverIPv6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@contextmanager
def recorder(host: str = "127.0.0.1", certificate: Path | None = None) -> Iterator[int]:
    """The port of a server that records."""
    Recorder.asked.clear()
    with (OverIPv6 if ":" in host else ThreadingHTTPServer)((host, 0), Recorder) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def ask(connection: Connection) -> int:
    with connection.open(httpx.Client) as http:
        return http.get("/livez").status_code


async def ask_async(connection: Connection) -> int:
    async with connection.open(httpx.AsyncClient) as http:
        return (await http.get("/livez")).status_code


def test_environment_counts_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorder() as port:
        monkeypatch.setenv("LIMITER_URL", f"http://127.0.0.1:{port}/")
        monkeypatch.setenv("LIMITER_KEY", " lim_1_secret\n")
        monkeypatch.setenv("LIMITER_LANG", "en")
        ask(Connection())
        ask(Connection(key="", language="fr"))
        assert Recorder.asked[0] == ("/livez", "Bearer lim_1_secret", "en")
        assert Recorder.asked[1] == ("/livez", None, "fr")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.8.8", "[::1]"])
def test_loopback_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str, proxy: str) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    with recorder("::1" if host == "[::1]" else "0.0.0.0") as port:  # 127.8.8.8 too
        connection = Connection(f"http://{host}:{port}")
        assert ask(connection) == asyncio.run(ask_async(connection)) == 200


def test_other_addresses_are_asked_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorder() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        connection = Connection("http://limiter.example:5001")
        assert ask(connection) == asyncio.run(ask_async(connection)) == 200
        assert [path for path, *_ in Recorder.asked] == ["http://limiter.example:5001/livez"] * 2
        monkeypatch.setenv("NO_PROXY", "limiter.example")
        with pytest.raises(httpx.ConnectError):
            ask(connection)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "gopher://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(Refused, match=r"No limiter answers at http://limiter\.example"):
        Connection("http://limiter.example", language="en").open(httpx.Client)


def test_certificates_are_trusted_by_ssl_cert_file_on_loopback_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "own.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=limiter"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", own, "-out", tmp_path / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    with own.open("a") as both:
        both.write((tmp_path / "certificate.pem").read_text())
    with recorder(certificate=own) as port:
        url = f"https://127.0.0.1:{port}"
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(Connection(url))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert ask(Connection(url)) == asyncio.run(ask_async(Connection(url))) == 200
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        with pytest.raises(Refused, match="SSL_CERT_FILE"):
            ask(Connection(url))


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *((host, True) for host in ("localhost", "bot.localhost", "127.1.2.3", "::1", "::ffff:127.0.0.1", "0.0.0.0")),
        *((host, False) for host in ("10.0.0.1", "::ffff:10.0.0.1", "localhost.example", "::2", "")),
    ],
)
def test_what_is_loopback(host: str, here: bool) -> None:
    assert is_loopback(host) is here


def test_an_address_that_cannot_be_read_is_refused_with_a_sentence() -> None:
    with pytest.raises(Refused) as caught:
        Connection("http://127.0.0.1:no", language="en")
    assert caught.value.reason == "out_of_reach"
