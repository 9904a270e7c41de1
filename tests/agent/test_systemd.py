"""The shipped units on a real systemd: a bot of its own control group, refused, started again, stopped."""

from collections.abc import Iterator

import pytest

from tests.agent.systemd import Systemd, why_not
from tests.conftest import ROOT, Limiter, wait_until

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
ALICE, BOB = "bot@alice.service", "bot@bob.service"
START = "#!/bin/sh\necho $$ > pid\nenv > environment\n(setsid sleep 1000 &)\ntrap 'echo heard >> heard; exit 0' TERM\n"
START += "while :; do sleep 0.1; done\n"


@pytest.fixture(scope="module")
def limiter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    one = Limiter(tmp_path_factory.mktemp("limiter"), {"BOT_LEASE_SECONDS": 10, "MAX_CONCURRENT_BOTS": 2})
    one.serve()
    yield one
    one.close()


@pytest.fixture(scope="module")
def systemd(limiter: Limiter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systemd]:
    """The units as shipped, but that nobody waits for five minutes, or 30 s between two starts, here."""
    shipped = {path.name: path.read_text() for path in (ROOT / "deploy").glob("*@.service")}
    shipped["bot@.service"] = shipped["bot@.service"].replace("--wait 300", "--wait 1").replace("=30\n", "=1\n")
    shipped["plain.service"] = "[Service]\nExecStart=sh -c 'exit 75'\nRestart=always\n"
    shipped["status@.service"] = (
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=sh -c 'exit %i'\n"
        "Restart=always\nRestartSec=1\nRestartPreventExitStatus=2 77 78 126 127\n"
    )
    files = {f"bots/{name}/start": START for name in ("alice", "bob", "carol")}
    one = Systemd(tmp_path_factory.mktemp("systemd"), shipped, files)
    one.do(
        "sh",
        "-c",
        f"echo LIMITER_URL={limiter.url} > /etc/limiter/bots.env; echo LIMITER_KEY= >> /etc/limiter/bots.env",
    )
    yield one
    one.close()


def holds(limiter: Limiter, user: str) -> bool:
    return bool(limiter.listed(user_id=user, status="active"))


def test_by_default_systemd_gives_up_on_a_refused_bot_within_seconds(systemd: Systemd) -> None:
    systemd.do("systemctl", "start", "plain", status=None)
    wait_until(lambda: systemd.told("plain", "ActiveState") == "failed", 10)
    assert systemd.told("plain", "NRestarts") == "5"


@pytest.mark.parametrize(("status", "again"), [(75, True), (1, True), (77, False), (78, False), (127, False)])
def test_what_trying_again_cannot_mend_is_not_tried_again(systemd: Systemd, status: int, again: bool) -> None:
    unit = f"status@{status}"
    systemd.do("systemctl", "start", unit, status=None)
    if again:
        wait_until(lambda: int(systemd.told(unit, "NRestarts")) >= 2, 15)
        systemd.do("systemctl", "stop", unit)
    else:
        wait_until(lambda: systemd.told(unit, "ActiveState") == "failed", 10)
        assert systemd.told(unit, "NRestarts") == "0"


def test_a_bot_is_the_units_main_process_and_all_of_it_ends_with_the_unit(limiter: Limiter, systemd: Systemd) -> None:
    systemd.do("systemctl", "start", ALICE)
    wait_until(lambda: holds(limiter, "alice"), 15)
    pid = wait_until(lambda: systemd.do("cat", "/srv/bots/alice/pid", status=None).strip(), 5)
    assert systemd.told(ALICE, "MainPID") == pid
    environment = systemd.do("cat", "/srv/bots/alice/environment")
    assert "LIMITER_SESSION_ID=" in environment
    assert "LIMITER_KEY" not in environment
    agent = systemd.do(
        "setpriv", "--reuid=bots", "--regid=4242", "--clear-groups", "limiter", "agent", "--status", "--json"
    )
    assert '"known_by": "group"' in agent
    systemd.do("systemctl", "stop", ALICE)
    wait_until(lambda: not holds(limiter, "alice"), 2)
    assert systemd.do("cat", "/srv/bots/alice/heard") == "heard\n"


def test_the_end_of_one_bots_unit_leaves_the_agent_and_the_other_bots(limiter: Limiter, systemd: Systemd) -> None:
    systemd.do("systemctl", "start", ALICE, BOB)
    wait_until(lambda: holds(limiter, "alice") and holds(limiter, "bob"), 15)
    before = systemd.told("limiter-agent@bots", "MainPID")
    systemd.do("systemctl", "kill", "--signal=KILL", "limiter-agent@bots")
    wait_until(lambda: systemd.told("limiter-agent@bots", "MainPID") not in ("0", before), 5)
    systemd.do("systemctl", "stop", ALICE)
    wait_until(lambda: not holds(limiter, "alice"), 5)
    assert holds(limiter, "bob")
    assert systemd.told(BOB, "NRestarts") == "0"


def test_a_refused_bot_is_started_when_a_slot_is_free(limiter: Limiter, systemd: Systemd) -> None:
    other = limiter.session()
    systemd.do("systemctl", "start", ALICE)  # with bob's, two
    wait_until(lambda: int(systemd.told(ALICE, "NRestarts")) >= 1, 20)
    assert systemd.told(ALICE, "ExecMainStatus") in ("75", "0")
    limiter.end(other)
    wait_until(lambda: holds(limiter, "alice"), 20)


def test_a_lost_slot_ends_the_bot_and_its_unit_begins_anew(limiter: Limiter, systemd: Systemd) -> None:
    (row,) = limiter.listed(user_id="alice", status="active")
    limiter.admin("POST", f"/api/admin/sessions/{row['public_id']}/stop", {"reason": "test"})
    wait_until(
        lambda: (
            [r["public_id"] for r in limiter.listed(user_id="alice", status="active")] not in ([], [row["public_id"]])
        ),
        30,
    )
