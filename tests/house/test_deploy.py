"""The files in deploy/: they parse, and name only what a real limiter shows."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from limiter import config
from limiter.config import SETTINGS
from tests.conftest import ROOT, Limiter, granted, served
from tests.journeys.console_process import running

DEPLOY = ROOT / "deploy"
UNITS = ("limiter.service", "console.service")
RULES = DEPLOY / "prometheus" / "limiter.rules.yml"
METRIC = re.compile(r"\b(?:limiter|process)_[a-z_]+\b")
LABELS = re.compile(r"\{[^{}]*\}")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """The names of every sample that a real limiter shows to a scrape, of counters without one yet too."""
    with served(Limiter(tmp_path_factory.mktemp("metrics"), {})) as one:
        one.session()
        text = one.client.get("/metrics").text
        assert text.endswith("# EOF\n")
        counters = re.findall(r"^# TYPE ([a-z_]+) counter$", text, re.MULTILINE)
        yield {*re.findall(r"^[a-z_]+", text, re.MULTILINE), *(f"{name}_total" for name in counters)}


def named(expressions: Iterator[str]) -> set[str]:
    """The metrics of some PromQL."""
    return {name for text in expressions for name in METRIC.findall(LABELS.sub("", text))}


def strings(node: Any, key: str) -> Iterator[str]:
    """Every value of that key in a JSON tree."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key and isinstance(value, str):
                yield value
            yield from strings(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value, key)


def test_the_dashboard_names_metrics_that_exist(shown: set[str]) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "limiter.json").read_text(encoding="utf-8"))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    found = named(strings(dashboard, "expr"))
    assert len(found) > 15
    assert found <= shown


def test_the_alert_rules_name_metrics_that_exist(shown: set[str]) -> None:
    expressions = re.findall(r"^ +expr: (.+)$", RULES.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(expressions) > 10
    assert named(iter(expressions)) <= shown


def test_the_alert_rules_do_what_they_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package: prometheus)")
    for command in (("check", "rules", RULES.name), ("test", "rules", "limiter.test.yml")):
        ran = subprocess.run([promtool, *command], cwd=RULES.parent, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_runs_what_is_there_and_is_hardened(unit: str) -> None:
    text = (DEPLOY / unit).read_text(encoding="utf-8")
    command = re.search(r"^ExecStart=/opt/limiter/\.venv/bin/python (.+)$", text, re.MULTILINE)
    assert command and command[1] in ("-m limiter serve", "console.py")
    for line in (
        "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "CapabilityBoundingSet=",
        "SystemCallFilter=@system-service", "UMask=0077", "User=limiter", "StateDirectoryMode=0700", "Restart=always",
        "RestartPreventExitStatus=2",
    ):  # fmt: skip
        assert line in text.splitlines(), line


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_the_units(unit: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    for name in UNITS:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/limiter/.venv/bin/python", sys.executable))
    verified = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in verified.stderr.splitlines() if "limiter" in line or "console" in line]
    assert (verified.returncode, ours) == (0, [])
    secure = subprocess.run(
        [analyze, "security", "--offline=yes", "--threshold=20", str(tmp_path / unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unrecognized option" not in secure.stderr:  # before systemd 250
        assert secure.returncode == 0, secure.stdout[-200:]


def test_the_limiter_tells_systemd_when_it_is_ready() -> None:
    lines = (DEPLOY / "limiter.service").read_text(encoding="utf-8").splitlines()
    assert {"Type=notify", "WatchdogSec=30", "TimeoutStopSec=15"} <= set(lines)


def test_the_console_of_the_unit_starts_no_limiter(tmp_path: Path) -> None:
    with running(tmp_path, LIMITER_CONSOLE_STARTS="no", LIMITER_CONSOLE_HOST="0.0.0.0") as console:
        assert len(console.output.splitlines()) == 2, "ours alone, and nobody is asked for this machine's address"
        address, _, link = console.link.partition("?link=")
        assert httpx.post(address, data={"link": link}).status_code in (401, 403), "no limiter, so nobody can sign in"
        with pytest.raises(httpx.ConnectError):
            console.http.get("/livez")
        assert not (tmp_path / "limiter.db").exists()
        assert console.stop() == 0


def test_the_sample_settings_can_be_read_with_and_without_what_is_commented_out(tmp_path: Path) -> None:
    text = (DEPLOY / "limiter.env").read_text(encoding="utf-8")
    names = {setting.name for setting in SETTINGS}
    assert set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)) <= names
    for kept in (text, re.sub(r"^#(?=[A-Z_]+=)", "", text, flags=re.MULTILINE)):
        (tmp_path / "limiter.env").write_text(kept)
        found = config.read({"LIMITER_ENV_FILE": str(tmp_path / "limiter.env")})
        assert found.database_url == "sqlite:////var/lib/limiter/limiter.db"


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "console.service", "Caddyfile"])
def test_every_setting_that_is_named_is_one(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    known = {setting.name for setting in SETTINGS} | {"LIMITER_ENV_FILE", "LIMITER_DOMAIN", "LIMITER_UPSTREAM"}
    assert set(re.findall(r"\bLIMITER_[A-Z_]+\b", text)) <= known


def test_the_image_has_all_that_the_program_needs() -> None:
    copied = set(re.findall(r"^COPY (\S+)", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    sent = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied == {line[1:] for line in sent if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def test_what_the_image_runs_runs_from_what_is_copied(tmp_path: Path) -> None:
    """Without a container: the same files in another folder, as the image has them."""
    home = tmp_path / "opt"
    home.mkdir()
    for name in re.findall(r"^COPY (\S+)", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, home / name)
    one = Limiter(tmp_path, {"PYTHONPATH": home, "LIMITER_HOST": "0.0.0.0"})
    assert one.exit_status() == 2, "not without a bots key"
    key = one.new_key("bots")
    one.client = one.new_client()
    with served(one):
        granted(one.start("u1", Authorization=f"Bearer {key}"), 201)
        granted(one.admin("GET", "/api/admin/whoami"))  # the first key is made all the same


def test_caddy_takes_its_file() -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("caddy is not installed")
    command = [caddy, "validate", "--config", "Caddyfile", "--adapter", "caddyfile"]
    ran = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, check=False, env=os.environ)
    assert ran.returncode == 0, ran.stderr
