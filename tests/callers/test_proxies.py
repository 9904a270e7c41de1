"""The proxy files of deploy/, run by the real nginx and Caddy with HTTPS, before a real limiter and its console.

Both listen on another public port than 443, for that is where more can go wrong.
"""

import getpass
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from limiter.access import WRONG_KEYS
from limiter.client import Admin, BotSession, Refused
from limiter.http.protocol import GRACE_SECONDS, KEEP_ALIVE_SECONDS
from tests.callers.programs import free_port, ran, running, wanted
from tests.conftest import ROOT, granted, new_user, refused
from tests.journeys.console_process import Console
from tests.journeys.console_process import running as console_running

pytestmark = [pytest.mark.once, pytest.mark.timeout(120)]
DEPLOY = ROOT / "deploy"
NGINX = """user {user}; pid {folder}/pid; error_log stderr; daemon off; events {{}}
http {{ access_log off; {temporary} include {file}; }}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Proxy:
    """One that runs: where it listens, by whose certificate."""

    console: Console
    url: str
    plain: str
    certificate: Path

    def client(self, **headers: str) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.Client(base_url=self.url, headers=headers, verify=trusted, timeout=10, trust_env=False)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console_running(tmp_path_factory.mktemp("console"), LIMITER_LANG="en") as console:
        yield console


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The file as it is shipped, but for names, ports and places of certificates."""
    path = wanted(request.param, request.param)
    console, folder = request.getfixturevalue("console"), tmp_path_factory.mktemp(request.param)
    port, plain = free_port(), free_port()
    limiter, pages = (url.split("/")[2] for url in (console.limiter_url, console.url))
    if request.param == "nginx":
        certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
        ran(
            wanted("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
            "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        )  # fmt: skip
        text = (DEPLOY / "nginx.conf").read_text()
        for pattern, new in (
            (r"listen \[::\].*;", ""), ("listen 80;", f"listen 127.0.0.1:{plain};"), ("443", f"127.0.0.1:{port}"),
            ("bots.example.com;", "localhost;"), (r"https://\$host\$", f"https://$host:{port}$"),
            ("/etc/letsencrypt/live/bots.example.com", str(folder)), ("127.0.0.1:5001", limiter),
            ("127.0.0.1:8501", pages),
        ):  # fmt: skip
            text, count = re.subn(pattern, new, re.sub("#.*", "", text))
            assert count, pattern
        (folder / "limiter.conf").write_text(text)
        temporary = " ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
        main = folder / "nginx.conf"
        main.write_text(
            NGINX.format(user=getpass.getuser(), folder=folder, file=folder / "limiter.conf", temporary=temporary)
        )
        command: tuple[Any, ...] = (path, "-p", folder, "-c", main)
        env: dict[str, str] = {}
    else:
        certificate = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        text = (DEPLOY / "Caddyfile").read_text()
        extra = f"\n{{\n\tadmin off\n\tskip_install_trust\n\thttp_port {plain}\n\tservers"
        assert text.count("\n{\n\tservers") == 1
        (folder / "Caddyfile").write_text(text.replace("\n{\n\tservers", extra))
        command = (path, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile")
        env = {
            "LIMITER_DOMAIN": f"localhost:{port}", "LIMITER_UPSTREAM": limiter, "CONSOLE_UPSTREAM": pages,
            "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config"),
        }  # fmt: skip
    with running(folder, port, *command, **env):
        yield Proxy(console, f"https://localhost:{port}", f"http://localhost:{plain}", certificate)


def bearer(key: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {key}"}


@pytest.mark.parametrize("times", [1, WRONG_KEYS + 5])
def test_nobody_gets_in_without_a_key(proxy: Proxy, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy.client() as client:
        for _ in range(times):
            refused(client.post("/api/bots/start", json={"user_id": new_user()}), 401, "unauthorized")
            refused(client.get("/api/admin/capacity"), 401, "unauthorized")
            for value in ("", "Bearer", "bearer"):
                refused(client.get("/api/admin/capacity", headers={"Authorization": value}), 401, "unauthorized")
        for path in ("/api/admin/health", "/livez", "/readyz", "/openapi.json"):
            assert client.get(path).status_code == 200
        assert client.get("/metrics").status_code == 404
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
    with pytest.raises(Refused) as told:
        BotSession(proxy.url, user_id=new_user(), key="").__enter__()
    assert (told.value.reason, told.value.status) == ("unauthorized", 401), "and not: what answers is no limiter"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_is_taken_in_any_case(proxy: Proxy, scheme: str) -> None:
    with proxy.client(**bearer(proxy.console.key, scheme)) as client:
        granted(client.post("/api/bots/start", json={"user_id": new_user()}), 201)
        assert client.get("/api/users/a%2Fb/usage").status_code == 200, "a user id with a slash"


def test_the_client_speaks_through_it(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
    with BotSession(proxy.url, user_id=new_user(), key=proxy.console.key) as bot:
        bot.trade(symbol="BTC/USDT", side="buy", quantity="1", price="100")
    with Admin(proxy.url, proxy.console.key) as admin:
        key = admin.whoami().key
        assert key is not None and key.scope == "admin:write"


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_every_version_of_http_hears_the_refusal_of_a_body_that_it_sends(
    proxy: Proxy, version: str, tmp_path: Path
) -> None:
    """A proxy that answers by itself leaves the body unread, which over HTTP/2 resets the stream under the answer."""
    body = tmp_path / "body.json"
    body.write_text('{"user_id": "%s"}' % ("x" * 60_000))
    command = (
        wanted("curl", "curl"), "-sS", version, "--no-alpn" if version == "--http1.0" else "--alpn",
        "--cacert", str(proxy.certificate), "-w", "\n%{http_code} %{http_version}",
        "-H", "Content-Type: application/json", "--data-binary", f"@{body}", f"{proxy.url}/api/bots/start",
    )  # fmt: skip
    told, code = ran(*command).rsplit("\n", 1)
    assert code.startswith("401 ") and '"reason":"unauthorized"' in told
    assert code.endswith({"--http1.0": "1.1", "--http1.1": "1.1", "--http2": "2"}[version]) or version == "--http1.0"
    large = tmp_path / "large.json"
    large.write_text('{"user_id": "%s"}' % ("x" * 80_000))
    key = ("-H", f"Authorization: Bearer {proxy.console.key}")
    told, code = ran(*(part.replace(str(body), str(large)) for part in command), *key).rsplit("\n", 1)
    assert code.startswith("413 ") and '"reason":"invalid_request"' in told


def test_somebody_signs_in_on_this_port(proxy: Proxy) -> None:
    port = proxy.url.rsplit(":", 1)[1]
    with proxy.client(Origin=proxy.url, Accept="text/html") as browser:
        assert browser.get("/admin/").status_code == 401
        signed_in = browser.post("/admin/sign-in", data={"key": proxy.console.key})
        assert signed_in.status_code == 200, signed_in.text
        cookie = signed_in.headers["Set-Cookie"]
        assert cookie.startswith(f"limiter_console_{port}=") and "Secure" in cookie
        assert "streamlit" in browser.get("/admin/").text.lower()
        for path in ("/admin", "/admin/sessions/"):
            location = httpx.URL(proxy.url).join(browser.get(path).headers["Location"])
            assert str(location).startswith(f"{proxy.url}/admin"), "and not to http, or to another port"
        foreign = browser.post(
            "/admin/sign-in", data={"key": proxy.console.key}, headers={"Origin": "https://evil.example"}
        )
        assert foreign.status_code == 403


def test_plain_http_leads_to_https_and_a_post_stays_one(proxy: Proxy) -> None:
    answer = httpx.post(f"{proxy.plain}/api/bots/start?x=1", trust_env=False)
    assert answer.status_code == 308
    assert answer.headers["Location"].startswith("https://localhost")
    assert answer.headers["Location"].endswith("/api/bots/start?x=1")


def test_a_proxy_lets_go_of_a_connection_before_the_limiter_does() -> None:
    """The other way round, the limiter closes a connection while a request is on its way to it."""
    told = KEEP_ALIVE_SECONDS, KEEP_ALIVE_SECONDS + GRACE_SECONDS
    for name, pattern in (("nginx.conf", r"keepalive_timeout (\d+)s;"), ("Caddyfile", r"keepalive (\d+)s")):
        (seconds,) = re.findall(pattern, (DEPLOY / name).read_text())
        assert int(seconds) < min(told), name
