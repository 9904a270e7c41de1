"""The table of real programs that call a limiter: bots in their languages, proxies in between, monitors. None is ours.

Each bot does the same session: start, heartbeat, trade, stop. Programs come from Debian; `.ci/run` installs them.
"""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.callers.programs import free_port, ran, running, wanted
from tests.conftest import Limiter, granted, new_user, wait_until

pytestmark = [pytest.mark.once, pytest.mark.timeout(120)]
BOTS = Path(__file__).with_name("bots")
SYSTEM_PYTHON = "/usr/bin/python3"

# name of the test: the program, its Debian package, the file it runs, further arguments
CLIENTS = {
    "java": ("java", "default-jdk-headless", "Bot.java"),
    "go": ("go", "golang-go", "bot.go"),
    "node-fetch": ("node", "nodejs", "bot.mjs", "fetch"),
    "node-agent": ("node", "nodejs", "bot.mjs", "agent"),
    "php-curl": ("php", "php-cli php-curl", "bot.php", "curl"),
    "php-streams": ("php", "php-cli", "bot.php", "streams"),
    "ruby": ("ruby", "ruby", "bot.rb"),
    "perl-tiny": ("perl", "perl", "bot.pl", "tiny"),
    "perl-lwp": ("perl", "libwww-perl", "bot.pl", "lwp"),
    "python-requests": (SYSTEM_PYTHON, "python3-requests", "bot.py", "requests"),
    "python-aiohttp": (SYSTEM_PYTHON, "python3-aiohttp", "bot.py", "aiohttp"),
    "python-urllib": (sys.executable, "python3", "bot.py", "urllib"),
    "python-httpx": (sys.executable, "python3", "bot.py", "httpx"),
    "curl": ("sh", "dash", "bot.sh", "curl"),
    "curl-http2": ("sh", "dash", "bot.sh", "curl", "--http2"),
    "curl-http1.0": ("sh", "dash", "bot.sh", "curl", "--http1.0"),
    "curl-expect": ("sh", "dash", "bot.sh", "curl", "-H", "Expect: 100-continue"),
    "curl-chunked": ("sh", "dash", "bot.sh", "curl", "-H", "Transfer-Encoding: chunked"),
    "wget": ("sh", "dash", "bot.sh", "wget"),
    "wget-no-keep-alive": ("sh", "dash", "bot.sh", "wget", "--no-http-keep-alive"),
}
RUN = {"go": ("run",), "java": ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")}  # java: half of its time
PARTS = {
    "perl-lwp": ("perl", "-MLWP::UserAgent", "-e1"),
    "php-curl": ("php", "-r", "exit(!function_exists('curl_init'));"),
}


def session(server: Limiter, url: str, *command: str) -> None:
    """A whole session of a new user, by that command with the address and the user behind it."""
    user = new_user()
    program, *rest = command
    at = next(n for n, part in enumerate(rest) if Path(part).suffix) + 1
    assert ran(program, *rest[:at], url, user, *rest[at:]).endswith("stopped\n")
    (row,) = server.listed(user_id=user, status="ended")
    assert row["ended_reason"] == "stopped"
    assert granted(server.client.get(f"/api/users/{user}/usage"))["trades"]["used"] == 1


def has(*command: str) -> bool:
    """Whether that much of a program is installed."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", CLIENTS)
def test_a_bot_holds_a_session(server: Limiter, name: str) -> None:
    program, package, file, *arguments = CLIENTS[name]
    path = wanted(program, package)
    part = PARTS.get(name)
    if program == SYSTEM_PYTHON:
        part = (path, "-c", f"import {arguments[0]}")
    if part is not None and not has(*part):
        wanted(f"what {name} needs", package)
    if file == "bot.sh":
        wanted(arguments[0], arguments[0])
    session(server, server.url, path, *RUN.get(program, ()), str(BOTS / file), *arguments)


def test_a_bot_of_dotnet_holds_a_session(server: Limiter, tmp_path: Path) -> None:
    compiler, mono = wanted("mcs", "mono-mcs"), wanted("mono", "mono-runtime")
    ran(compiler, f"-out:{tmp_path / 'Bot.exe'}", BOTS / "Bot.cs", "-r:System.Net.Http")
    session(server, server.url, mono, str(tmp_path / "Bot.exe"))


# -- proxies in between, as they are, with the check of the backend that people write

HAPROXY = """
global
  stats socket {folder}/socket
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend public
  bind 127.0.0.1:{port}
  default_backend limiter
backend limiter
  option httpchk {check}
  server one 127.0.0.1:{limiter} check inter 100ms
"""
APACHE = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/pid
Listen 127.0.0.1:{port}
ErrorLog /dev/stderr
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
AllowEncodedSlashes NoDecode
ProxyPass / http://127.0.0.1:{limiter}/ nocanon
"""
VARNISH = """
vcl 4.1;
backend limiter {{
  .host = "127.0.0.1"; .port = "{limiter}";
  .probe = {{ .url = "/readyz"; .interval = 100ms; .window = 3; .threshold = 2; }}
}}
"""


def behind(server: Limiter, port: int, curl: str) -> None:
    """A session through a proxy, by one curl with all kinds of versions; then figures that no cache may keep."""
    for options in ([], ["--http1.0"], ["--http2"]):
        session(server, f"http://127.0.0.1:{port}", curl, str(BOTS / "bot.sh"), "curl", *options)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        before = granted(client.get("/api/admin/capacity"))["capacity"]["current_bots"]
        server.session()
        assert granted(client.get("/api/admin/capacity"))["capacity"]["current_bots"] == before + 1
        assert client.get("/api/users/a%2Fb/usage").status_code == 200, "a user id with a slash"


@pytest.mark.parametrize("check", ["/readyz", "GET /readyz", "GET /api/admin/health", "GET /livez HTTP/1.1"])
def test_haproxy_finds_it_up_and_passes_bots_on(server: Limiter, tmp_path: Path, check: str) -> None:
    """The last one is HTTP/1.1 without a Host, which is an error of whoever writes it, and is told to be one."""
    haproxy, port = wanted("haproxy", "haproxy"), free_port()
    config = tmp_path / "haproxy.cfg"
    config.write_text(HAPROXY.format(folder=tmp_path, port=port, limiter=server.port, check=check))
    with running(tmp_path, port, haproxy, "-db", "-f", config) as log:
        if check.endswith("1.1"):
            wait_until(lambda: "code: 400" in log.read_text(), 5, "the server down")
        else:
            wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/livez").is_success, 5, "the server up")
            behind(server, port, wanted("sh", "dash"))
            assert "DOWN" not in log.read_text()


def test_apache_passes_bots_on(server: Limiter, tmp_path: Path) -> None:
    apache, port = wanted("apache2", "apache2-bin"), free_port()
    config = tmp_path / "apache.conf"
    config.write_text(APACHE.format(folder=tmp_path, port=port, limiter=server.port))
    with running(tmp_path, port, apache, "-X", "-f", config):
        behind(server, port, wanted("sh", "dash"))


def test_varnish_finds_it_healthy_and_keeps_nothing(server: Limiter, tmp_path: Path) -> None:
    varnish, port = wanted("varnishd", "varnish"), free_port()
    config = tmp_path / "limiter.vcl"
    config.write_text(VARNISH.format(limiter=server.port))
    command = (
        varnish,
        "-j",
        "none",
        "-F",
        "-f",
        config,
        "-a",
        f"127.0.0.1:{port}",
        "-n",
        tmp_path / "varnish",
        "-s",
        "malloc,10m",
    )
    with running(tmp_path, port, *command):
        wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/livez").is_success, 10, "the backend healthy")
        behind(server, port, wanted("sh", "dash"))


# -- monitors


def test_the_blackbox_exporter_finds_it_well(server: Limiter, tmp_path: Path) -> None:
    exporter, port = wanted("prometheus-blackbox-exporter", "prometheus-blackbox-exporter"), free_port()
    config = tmp_path / "blackbox.yml"
    config.write_text(
        "modules: {http_2xx: {prober: http, http: {fail_if_not_ssl: false, preferred_ip_protocol: ip4}}}\n"
    )
    command = (exporter, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}")
    with running(tmp_path, port, *command):
        for path in ("livez", "readyz", "api/admin/health"):
            target = {"module": "http_2xx", "target": f"{server.url}/{path}"}
            assert "\nprobe_success 1\n" in httpx.get(f"http://127.0.0.1:{port}/probe", params=target).text


@pytest.mark.parametrize("arguments", [(), ("-H", "localhost"), ("-s", "CAPACITY_OK"), ("-j", "HEAD")])
@pytest.mark.parametrize("path", ["/livez", "/api/admin/health"])
def test_nagios_finds_it_well(server: Limiter, path: str, arguments: tuple[str, ...]) -> None:
    check = wanted("check_http", "monitoring-plugins-basic")
    if "-s" in arguments and path == "/livez":
        pytest.skip("nothing but health says that")
    asked = (check, "-I", "127.0.0.1", "-p", str(server.port), "-u", path, *arguments)
    assert ran(*asked).startswith("HTTP OK")


def test_nagios_is_told_why_another_path_needs_a_host(server: Limiter) -> None:
    check = wanted("check_http", "monitoring-plugins-basic")
    asked = (
        check,
        "-I",
        "127.0.0.1",
        "-p",
        str(server.port),
        "-u",
        "/api/admin/capacity",
        "-e",
        "400",
        "-s",
        "ALLOWED",
    )
    ran(*asked)


def test_monit_finds_it_well(server: Limiter, tmp_path: Path) -> None:
    monit, config = wanted("monit", "monit"), tmp_path / "monitrc"
    checks = "\n".join(
        f"if failed port {server.port} protocol http request {path} status 200 then alert"
        for path in ("/livez", "/readyz", "/api/admin/health")
    )
    config.write_text(f"set daemon 1\nset idfile {tmp_path}/id\nset statefile {tmp_path}/state\n"
                      f"set pidfile {tmp_path}/pid\ncheck host limiter with address 127.0.0.1\n{checks}\n")  # fmt: skip
    config.chmod(0o600)
    process = subprocess.Popen(
        [monit, "-c", config, "-vI"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    found: list[str] = []
    for line in process.stdout:
        found.append(line)
        if (
            len([one for one in found if "succeeded testing protocol [HTTP]" in one]) == 3
            or "failed protocol test" in line
        ):
            break
    process.terminate()
    process.communicate(timeout=20)
    assert "succeeded" in found[-1], "".join(found)


@pytest.mark.parametrize("headers", [(), ("-H", "Connection: close")])
def test_wrk_counts_no_errors(server: Limiter, headers: tuple[str, ...]) -> None:
    told = ran(wanted("wrk", "wrk"), "-t1", "-c8", "-d1s", *headers, f"{server.url}/livez")
    counted = re.search(r"(\d+) requests in", told)
    assert counted and int(counted[1]) > 100
    assert "Non-2xx" not in told and "Socket errors" not in told, told
