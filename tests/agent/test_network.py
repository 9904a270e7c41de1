"""How the agent and `--direct` reach a limiter: through a proxy or past it, and one that is older than they are."""

import http.client
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import Bot, Bots, at_once
from tests.conftest import Limiter, new_user, wait_until

NAME = "limiter.example"  # which only a proxy finds


class Between(ThreadingHTTPServer):
    """What stands before a limiter: a proxy for whatever name, or a front that does not know the paths of `absent`."""

    daemon_threads = True

    def __init__(self, limiter_port: int, tls_port: int = 0, absent: frozenset[str] = frozenset()) -> None:
        super().__init__(("127.0.0.1", 0), Passes)
        self.limiter_port, self.tls_port, self.absent = limiter_port, tls_port, absent
        self.asked = list[tuple[str, str, str | None]]()
        """Method, target, and the login to the proxy."""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Passes(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Between

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers["Proxy-Authorization"]))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = "/" + self.path.split("://", 1)[-1].partition("/")[2] if "://" in self.path else self.path
        if path in self.server.absent:
            return self.answer(404, [], b"<html>Not Found</html>")
        behind = http.client.HTTPConnection("127.0.0.1", self.server.limiter_port)
        kept = {name: value for name, value in self.headers.items() if name != "Proxy-Authorization"}
        behind.request("POST", path, body, kept)
        answer = behind.getresponse()
        said = answer.read()
        behind.close()
        self.answer(answer.status, [one for one in answer.getheaders() if one[0].lower() != "content-length"], said)

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers["Proxy-Authorization"]))
        self.send_response_only(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", self.server.tls_port)) as behind:
            joined(self.connection, behind)
        self.close_connection = True


def joined(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        try:
            while part := source.recv(65536):
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join()


def with_tls(folder: Path, limiter_port: int) -> tuple[int, Path]:
    """A port that speaks TLS as NAME and passes on to the limiter, and the certificate to trust."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    named = [
        "-keyout",
        str(key),
        "-out",
        str(certificate),
        "-subj",
        f"/CN={NAME}",
        "-addext",
        f"subjectAltName=DNS:{NAME}",
    ]
    subprocess.run([*made, *named], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as clear:
                behind = socket.create_connection(("127.0.0.1", limiter_port))
                joined(clear, behind)
                behind.close()
        except OSError:  # who does not trust it goes away
            pass

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listening.getsockname()[1], certificate


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Bots]]:
    """Behind the agent, and without it, of one limiter."""
    first = Bots(tmp_path_factory.mktemp("network"), "group", LIMITER_ALLOWED_HOSTS=NAME)
    try:
        yield [first, Bots(tmp_path_factory.mktemp("direct"), "direct", limiter=first.limiter)]
    finally:
        first.close()


@pytest.fixture(scope="module", params=[0, 1], ids=["agent", "direct"])
def bots(request: pytest.FixtureRequest, ways: list[Bots]) -> Bots:
    return ways[int(request.param)]


@pytest.fixture
def proxy(bots: Bots, tmp_path: Path) -> Iterator[tuple[Between, Path]]:
    tls_port, certificate = with_tls(tmp_path, bots.limiter.port)
    one = Between(bots.limiter.port, tls_port)
    yield one, certificate
    one.close()


def through(proxy: Between, **more: str) -> dict[str, str]:
    address = proxy.url.replace("://", "://me:secret%21@")
    return {"HTTP_PROXY": address, "HTTPS_PROXY": address, "LIMITER_URL": f"http://{NAME}"} | more


LOGIN = "Basic bWU6c2VjcmV0IQ=="


def test_a_remote_limiter_is_asked_through_the_proxy(bots: Bots, proxy: tuple[Between, Path]) -> None:
    user = new_user()
    done = bots.run("sh", "-c", "sleep 2.5; echo $LIMITER_URL", user=user, **through(proxy[0]))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"http://{NAME}\n", "")
    wait_until(lambda: not bots.holds(user), 2)
    methods, targets, logins = map(set, zip(*proxy[0].asked, strict=True))
    assert (methods, logins) == ({"POST"}, {LOGIN})
    beat = "heartbeat" if bots.way == "direct" else "heartbeats"
    assert targets == {f"http://{NAME}/api/bots/{path}" for path in ("start", beat, "stop")}


def test_with_tls_the_proxy_sees_the_name_alone(bots: Bots, proxy: tuple[Between, Path]) -> None:
    user = new_user()
    asked, certificate = proxy
    env = through(asked, LIMITER_URL=f"https://{NAME}")
    done = bots.run("echo", "I run", user=user, **env, SSL_CERT_FILE=str(certificate))
    assert (done.returncode, done.stdout, done.stderr) == (0, "I run\n", "")
    assert set(asked.asked) == {("CONNECT", f"{NAME}:443", LOGIN)}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_never_asked_through_it(bots: Bots, proxy: tuple[Between, Path], host: str) -> None:
    done = bots.run("echo", "I run", **through(proxy[0], LIMITER_URL=f"http://{host}:{bots.limiter.port}"))
    assert (done.stdout, done.stderr) == ("I run\n", "")
    assert proxy[0].asked == []


@pytest.mark.slow
def test_what_cannot_be_reached_is_given_up_after_ten_seconds(ways: list[Bots], tmp_path: Path) -> None:
    """In both ways at once: a name that NO_PROXY excepts and nobody knows, and a certificate that is not trusted."""
    tls_port, _ = with_tls(tmp_path, ways[0].limiter.port)
    proxy = Between(ways[0].limiter.port, tls_port)

    def excepted(bots: Bots) -> None:
        done = bots.run("echo", "I run", **through(proxy, NO_PROXY="other.test, .example"))
        assert (done.returncode, done.stdout) == (75, "")
        assert done.stderr.startswith(f"limiter: No limiter answers at http://{NAME} (")

    def untrusted(bots: Bots) -> None:
        done = bots.run("echo", "I run", **through(proxy, LIMITER_URL=f"https://{NAME}"))
        assert (done.returncode, done.stdout) == (75, "")
        assert "CERTIFICATE_VERIFY_FAILED" in done.stderr

    both: list[Callable[[], None]] = [partial(check, bots) for check in (excepted, untrusted) for bots in ways]
    at_once(lambda check: check(), both)
    assert {asked[:2] for asked in proxy.asked} == {("CONNECT", f"{NAME}:443")}
    proxy.close()


def test_one_proxy_for_all_is_asked_where_the_scheme_has_none(bots: Bots, proxy: tuple[Between, Path]) -> None:
    env = through(proxy[0])
    env["ALL_PROXY"] = env.pop("HTTP_PROXY")
    del env["HTTPS_PROXY"]
    assert bots.run("echo", "I run", **env).stdout == "I run\n"
    assert {target for _, target, _ in proxy[0].asked} >= {f"http://{NAME}/api/bots/start"}
    nowhere = {"HTTP_PROXY": env["ALL_PROXY"], "ALL_PROXY": "http://127.0.0.1:1"}
    assert bots.run("echo", "I run", **env | nowhere).stdout == "I run\n"


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:1", "http://", "http://127.0.0.1:no", "http://[::1"])
def test_a_proxy_that_cannot_be_asked(bots: Bots, address: str) -> None:
    for language, name, told in (
        ("en", "http_proxy", "http_proxy is no address of a proxy that begins with http://"),
        ("fr", "all_proxy", "all_proxy n'est pas l'adresse d'un proxy qui commence par http://"),
    ):
        env = {"LIMITER_URL": f"http://{NAME}", name: address, "LIMITER_LANG": language}
        done = bots.run("echo", "I run", **env)
        assert (done.returncode, done.stdout, done.stderr) == (78, "", f"limiter: {told}\n")


@pytest.mark.parametrize(
    ("language", "told"), [("en", "LIMITER_KEY is no key"), ("fr", "LIMITER_KEY n'est pas une clé")]
)
def test_a_key_that_cannot_be_sent(bots: Bots, language: str, told: str) -> None:
    done = bots.run("echo", "I run", LIMITER_KEY="lim_\N{EURO SIGN}", LIMITER_LANG=language)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"limiter: {told}")


def test_a_language_that_is_none_harms_nobody(bots: Bots) -> None:
    assert bots.run("echo", "I run", LIMITER_LANG="日本").stdout == "I run\n"


# What the limiter does not know, or what stands before it does not


def beaten_by(asked: list[Any]) -> set[str]:
    return {target for _, target, _ in asked if "heartbeat" in target}


def test_an_older_limiter_is_beaten_for_one_by_one(shared_limiter: Limiter, tmp_path: Path) -> None:
    bots = Bots(tmp_path, limiter=shared_limiter)
    front = Between(bots.limiter.port, absent=frozenset({"/api/bots/heartbeats"}))
    bots.env["LIMITER_URL"] = front.url
    held = [Bot(bots, "exec sleep 1000") for _ in range(3)]
    for bot in held:
        bots.renewed(bot.user)
    assert "/api/bots/heartbeat" in beaten_by(front.asked)
    bots.stop_by_admin(held[0].user)
    assert held[0].end(5)[0] == -15
    front.absent = frozenset()  # it was updated
    front.asked.clear()
    wait_until(lambda: len(front.asked) > 1, 10)
    assert beaten_by(front.asked) == {"/api/bots/heartbeats"}
    front.absent = frozenset({"/api/bots/heartbeats", "/api/bots/heartbeat"})  # a front that lost its way for a moment
    front.asked.clear()
    wait_until(lambda: len(front.asked) > 4, 5)
    front.absent = frozenset()
    for bot in held[1:]:
        bots.renewed(bot.user)
        assert bot.process.poll() is None
        bot.process.kill()
        bot.end()
    wait_until(lambda: not any(bot.holds_a_slot for bot in held), 2)
    bots.close()
    front.close()
