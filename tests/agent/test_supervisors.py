"""The examples of docs/bots.md by the real programs, as printed but for the folder and the minutes of patience."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.conftest import Bots, lives
from tests.conftest import ROOT, wait_until

PAGE = (ROOT / "docs" / "bots.md").read_text(encoding="utf-8")
BOT = """
import os, signal, sys, time
def heard(number, frame):
    print(signal.Signals(number).name, file=open("heard", "a"))
    sys.exit(0)
signal.signal(signal.SIGTERM, heard)
signal.signal(signal.SIGINT, heard)
print(os.getpid(), file=open("pid.new", "w"), flush=True)
os.rename("pid.new", "pid")
time.sleep(600)
"""
NODE_BOT = """
const fs = require("fs");
const heard = (name) => { fs.appendFileSync("heard", name + "\\n"); process.exit(0); };
process.on("SIGTERM", heard); process.on("SIGINT", heard);
fs.writeFileSync("pid.new", String(process.pid)); fs.renameSync("pid.new", "pid");
setInterval(() => {}, 1000);
"""


def needs(program: str) -> None:
    """Skip where it is not installed; in CI it must be."""
    if shutil.which(program) is None and "CI" not in os.environ:
        pytest.skip(f"{program} is not installed")


def example(language: str, holding: str) -> str:
    """The printed block of that language which holds these words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (found,) = [block for block in blocks if holding in block]
    return str(found)


class Place:
    """A folder for /srv/bots/alice, `limiter` on the PATH, an agent of its own."""

    def __init__(self, folder: Path) -> None:
        self.bots = Bots(folder, lease=10, MAX_CONCURRENT_BOTS=1)
        self.folder = folder / "alice"
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / "bot.py").write_text(BOT)
        (self.folder / "bot.js").write_text(NODE_BOT)
        command = self.folder / "bin" / "limiter"
        command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m limiter "$@"\n')
        command.chmod(0o755)
        self.env = self.bots.env | {"PATH": f"{command.parent}:{os.environ['PATH']}", "HOME": str(self.folder)}
        self.env.pop("PYTHONPATH")

    def here(self, text: str) -> str:
        """The example with this folder, and a second of patience in place of minutes."""
        return re.sub(r"--wait \d+", "--wait 2", text.replace("/srv/bots/alice", str(self.folder)))

    def run(self, *command: str, status: int | None = 0) -> str:
        done = subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert status is None or done.returncode == status, (command, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def bot(self) -> int:
        """The pid of the bot that holds alice's slot."""
        wait_until(lambda: self.bots.holds("alice") and (self.folder / "pid").exists(), 30, "alice's bot runs")
        return int((self.folder / "pid").read_text())

    def heard(self) -> list[str]:
        path = self.folder / "heard"
        return path.read_text().split() if path.exists() else []

    def forget(self) -> None:
        for name in ("pid", "heard"):
            (self.folder / name).unlink(missing_ok=True)

    def gone(self, pid: int) -> None:
        wait_until(lambda: not lives(pid) and not self.bots.holds("alice"), 10, "the bot and its slot are gone")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    one = Place(tmp_path_factory.mktemp("supervisors"))
    yield one
    one.bots.close()


@pytest.fixture
def place(shared: Place) -> Place:
    shared.forget()
    return shared


def test_supervisor(place: Place, tmp_path: Path) -> None:
    needs("supervisord")
    head = "[supervisord]\nnodaemon=true\nlogfile=log\npidfile=supervisor.pid\n[unix_http_server]\nfile=socket\n"
    head += (
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
    )
    head += "[supervisorctl]\nserverurl=unix://socket\n"
    conf = tmp_path / "conf"
    conf.write_text(head.replace("socket", str(tmp_path / "socket")) + place.here(example("ini", "[program:alice]")))
    other = place.bots.limiter.session()  # the one slot there is
    supervisord = subprocess.Popen(["supervisord", "-c", conf], env=place.env, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        time.sleep(8)  # longer than four starts of 2 s each
        state = place.run("supervisorctl", "-c", str(conf), "status", status=None)
        assert "FATAL" not in state
        place.bots.limiter.end(other)
        pid = place.bot()
        assert f"pid {pid}," in place.run("supervisorctl", "-c", str(conf), "status")
        place.run("supervisorctl", "-c", str(conf), "stop", "alice")
        place.gone(pid)
        assert place.heard() == ["SIGTERM"]
    finally:
        supervisord.terminate()
        supervisord.wait(20)


@pytest.fixture(scope="module")
def pm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in a folder of its own; skipped where there is no npm (Debian's brings 400 packages) or registry."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("pm2")
    done = subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, "pm2@7.0.4"],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"pm2 cannot be had: {done.stderr[-200:]}")
    return folder / "node_modules" / ".bin" / "pm2"


def test_pm2(place: Place, pm2: Path, tmp_path: Path) -> None:
    config = tmp_path / "apps.config.js"
    config.write_text(place.here(example("js", "module.exports")))
    place.env["PM2_HOME"] = str(tmp_path / "home")
    other = place.bots.limiter.session()
    try:
        place.run(str(pm2), "start", str(config))
        time.sleep(6)  # refused at least twice
        place.bots.limiter.end(other)
        pid = place.bot()
        (app,) = json.loads(place.run(str(pm2), "jlist").splitlines()[-1])
        assert (app["pid"], app["pm2_env"]["status"]) == (pid, "online")
        place.run(str(pm2), "stop", "alice")
        place.gone(pid)
        assert place.heard() == ["SIGINT"]
    finally:
        place.run(str(pm2), "kill", status=None)


def test_cron(place: Place, tmp_path: Path) -> None:
    """The line's command with what cron gives it: /bin/sh, a PATH of its own, no variables, no terminal, a pipe."""
    *_, command = place.here(example("cron", "limiter run")).strip().split(" ", 5)
    command = command.replace("http://127.0.0.1:5001", place.bots.limiter.url)
    command = command.replace("/usr/local/bin/limiter", str(place.folder / "bin" / "limiter"))
    assert "%" not in command
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LOGNAME": "alice", "SHELL": "/bin/sh"}
    variables["LIMITER_AGENT_SOCKET"] = place.env["LIMITER_AGENT_SOCKET"]  # not the agent of who runs these tests
    job = subprocess.Popen(
        ["/bin/sh", "-c", command], env=variables, cwd=tmp_path, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    os.kill(pid := place.bot(), signal.SIGTERM)
    job.communicate(timeout=15)
    place.gone(pid)
    assert place.heard() == ["SIGTERM"]


def line(beginning: str) -> str:
    """The printed line that begins so."""
    (found,) = re.findall(rf"^{re.escape(beginning)}.*$", PAGE, re.MULTILINE)
    return str(found)


def test_tmux(place: Place) -> None:
    needs("tmux")
    place.env["TMUX_TMPDIR"] = str(place.folder)
    kept = {name: text for name, text in place.env.items() if name != "LIMITER_URL"}
    subprocess.run(["tmux", "new-session", "-d", "sleep 60"], env=kept, check=True)  # a server that knows no limiter
    try:
        place.run("sh", "-c", place.here(line("tmux new-session")))
        pid = place.bot()
        place.run("tmux", "kill-session", "-t", "alice")  # SIGHUP, which this bot does not handle
        place.gone(pid)
    finally:
        place.run("tmux", "kill-server")


def test_nohup(place: Place) -> None:
    shell = subprocess.Popen(["sh", "-c", place.here(line("nohup "))], env=place.env, cwd=place.folder)
    assert shell.wait(10) == 0
    pid = place.bot()
    os.kill(pid, signal.SIGHUP)
    time.sleep(0.5)
    assert lives(pid) and place.bots.holds("alice")
    os.kill(pid, signal.SIGTERM)
    place.gone(pid)


def test_xargs(place: Place) -> None:
    place.run("sh", "-c", line("printf '%s").replace("python3 bot.py", "sleep 2"), status=123)  # one slot for three
    wait_until(lambda: place.bots.limiter.capacity()["current_bots"] == 0, 10)


def test_su(place: Place) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user here")
    command = place.here(line("su ").replace(" bots ", " root ")).replace("exec limiter", "exec env PATH=$PATH limiter")
    shell = subprocess.Popen(["sh", "-c", command.replace("$PATH", place.env["PATH"])], env=place.env, cwd=place.folder)
    pid = place.bot()
    os.kill(pid, signal.SIGTERM)
    shell.wait(15)
    place.gone(pid)


def test_sudo(place: Place) -> None:
    needs("sudo")
    if os.geteuid() != 0:
        pytest.skip("sudo would ask for a password")
    program = line("sudo ").replace("-u bots", "-u root -E").replace(" limiter", f" {place.folder}/bin/limiter")
    sudo = subprocess.Popen(  # in a session of its own, for sudo heeds no signal that its own group sends
        ["sh", "-c", f"exec {place.here(program)}"], env=place.env, cwd=place.folder, start_new_session=True
    )
    pid = place.bot()
    sudo.terminate()  # which it hands on
    sudo.wait(15)
    place.gone(pid)
    assert place.heard() == ["SIGTERM"]


def test_the_first_process_of_a_container(place: Place) -> None:
    """As docker starts it: pid 1 of a pid namespace, without --init."""
    (entry,) = re.findall(r"^ENTRYPOINT (\[.*\])$", PAGE, re.MULTILINE)
    (command,) = re.findall(r"^CMD (\[.*\])$", PAGE, re.MULTILINE)
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *json.loads(entry), *json.loads(command)]
    if subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, check=False
    ).returncode:
        pytest.skip("a pid namespace may not be made here")
    container = subprocess.Popen(inside, env=place.env, cwd=place.folder)
    try:
        place.bot()
        children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
        pid1 = int(children.read_text().split()[0])
        os.kill(pid1, signal.SIGTERM)  # as `docker stop` does
        assert container.wait(15) == 0
        wait_until(lambda: not place.bots.holds("alice"), 5)
        assert place.heard() == ["SIGTERM"]
    finally:
        container.kill()
        container.wait()
