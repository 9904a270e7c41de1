"""Which of a table of processes are strangers, which command lines are ours, and what of a command line is shown."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.rules.strangers import (
    LONGEST,
    MASK,
    MOST_TOLD,
    REPORT_SECONDS,
    Process,
    Reports,
    Stranger,
    ancestors,
    below,
    is_ours,
    printable,
    shown,
    strangers,
    together,
)
from tests.rules.world import NOW


def pids(*processes: Process) -> list[int]:
    return [one.pid for one in strangers(processes)]


SHELL = Process(1, 0, 1.0)


def test_a_bot_that_asked_nobody_is_one_and_its_workers_are_not_counted_again() -> None:
    bot = Process(10, 1, 2.0, looks=True)
    worker, helper = Process(11, 10, 3.0, looks=True), Process(12, 11, 4.0)
    assert pids(SHELL, bot, worker, helper) == [10]
    assert [one.pid for one in below([SHELL, bot, worker, helper], bot)] == [10, 11, 12]


def test_who_holds_a_slot_and_all_that_came_from_it_are_none() -> None:
    bot = Process(10, 1, 2.0, looks=True, holds=True)
    assert pids(SHELL, bot, Process(11, 10, 3.0), Process(12, 11, 4.0, looks=True)) == []


def test_what_started_a_holder_is_none_but_the_bot_beside_it_is() -> None:
    start_all = Process(10, 1, 2.0, looks=True)
    assert pids(SHELL, start_all, Process(11, 10, 3.0, looks=True, holds=True)) == []
    both = (start_all, Process(11, 10, 3.0, looks=True, holds=True), Process(12, 10, 3.0, looks=True))
    assert pids(SHELL, *both) == [12]


def test_a_command_of_ours_and_what_started_it_are_none_but_what_it_started_without_a_slot_is() -> None:
    script, run = Process(10, 1, 2.0, looks=True), Process(11, 10, 3.0, looks=True, ours=True)
    assert pids(SHELL, script, run) == []
    assert pids(SHELL, script, run, Process(12, 11, 4.0, looks=True)) == [12], "its lease is lost and it was kept"


def test_a_pid_that_is_used_again_is_no_parent() -> None:
    bot, newer = Process(11, 10, 2.0, looks=True), Process(10, 1, 9.0, looks=True, holds=True)
    assert pids(SHELL, bot, newer) == [11]


def test_the_oldest_comes_first() -> None:
    assert pids(SHELL, Process(10, 1, 9.0, looks=True), Process(11, 1, 3.0, looks=True)) == [11, 10]


def is_a_tree(processes: list[Process]) -> bool:
    """As the kernel's is: nobody descends from his own descendant."""
    table = {one.pid: one for one in processes}
    return not any(one in ancestors(table, above) for one in processes for above in ancestors(table, one))


TABLES = st.lists(
    st.builds(
        Process, st.integers(1, 12), st.integers(0, 12), st.sampled_from([1.0, 2.0, 3.0]),
        st.booleans(), st.booleans(), st.booleans(),
    ),
    unique_by=lambda one: one.pid,
).filter(is_a_tree)  # fmt: skip


@given(TABLES)
def test_of_any_table(processes: list[Process]) -> None:
    table = {one.pid: one for one in processes}
    found = strangers(processes)
    for one in found:
        above = list(ancestors(table, one))
        assert one.looks and not one.holds and not one.ours
        assert not any(other.holds or other in found for other in above)
        assert not any(other.holds or other.ours for other in below(processes, one)), "it started none that holds"
    for one in processes:  # and none is missing
        if one.looks and not any(other.holds or other.ours for other in below(processes, one)):
            above = list(ancestors(table, one))
            assert one in found or any(other.holds or other in found for other in above)


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        ("python -m limiter serve", True),
        ("/opt/limiter/.venv/bin/python3.11 -X dev -u -m limiter run --user u1 -- python bot.py", True),
        ("/opt/limiter/.venv/bin/python /opt/limiter/.venv/bin/limiter agent", True),
        ("limiter sessions list", True),
        ("python -m limiter.simulate", True),
        ("python bot.py -m limiter", False),
        ("python -m limiter_bot", False),
        ("python -m freqtrade trade", False),
        ("node /srv/limiter/bot.mjs", False),
        ("python -m", False),
        ("python", False),
    ],
)
def test_commands_of_ours(command: str, ours: bool) -> None:
    assert is_ours(command.split()) is ours


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["python", "bot.py", "--pair", "BTC/USDT"], "python bot.py --pair BTC/USDT"),
        (["python", "bot.py", "--api-key=abc", "--secret", "def", "-v"], "python bot.py --api-key=… --secret … -v"),
        (["env", "API_SECRET=x1", "EXCHANGE=kraken", "bot"], "env API_SECRET=… EXCHANGE=kraken bot"),
        (
            ["bash", "-c", "TOKEN=abc exec python bot.py --password p4ss"],
            "bash -c TOKEN=… exec python bot.py --password …",
        ),
        (["bot", "--password", "two words", "--dry-run"], "bot --password … --dry-run"),
        (["bot", '{"key": "abc", "pair": "ETH"}'], 'bot {"key": … "pair": "ETH"}'),
        (["bot", '{"key":"abc","pair":"ETH"}'], 'bot {"key":…,"pair":"ETH"}'),
        (["bot", "mysql://root:hunter2@db/x"], "bot mysql://…@db/x"),
        (["curl", "-H", "Authorization: Bearer ab.cd"], "curl -H Authorization: … …"),
        (["bot", "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4"], "bot …"),
        (
            ["/usr/bin/python3", "/srv/bots/strategy_with_a_long_name_2.py"],
            "/usr/bin/python3 /srv/bots/strategy_with_a_long_name_2.py",
        ),
        (["LIMITER_SESSION_ID=s1.abc"], "LIMITER_SESSION_ID=…"),
        ([], ""),
    ],
)
def test_what_looks_like_a_secret_is_not_shown(command: list[str], text: str) -> None:
    assert shown(command) == text


@given(st.lists(st.text(), max_size=20))
def test_a_shown_command_is_short(command: list[str]) -> None:
    assert len(shown(command)) <= LONGEST


@given(st.from_regex(r"[A-Za-z0-9+/_.-]{1,60}", fullmatch=True).filter(lambda text: not text.startswith("-")))
def test_the_value_of_a_secret_flag_is_never_shown(value: str) -> None:
    for command in (["b", "--api-key", value], ["b", f"--api-key={value}"], ["b", f"API_TOKEN={value}"]):
        assert shown(command).endswith(MASK) and (len(value) < 4 or value not in shown(command)[2:])


def test_what_an_agent_tells_stands_until_it_is_taken_back_or_not_said_again() -> None:
    reports, one = Reports(), Stranger(7, "python3", "u1/b1", 1, NOW, "far")
    reports.tell(("far", "a", "k1"), [one], 10.0)
    reports.tell(("far", "b", "k1"), [replace(one, pid=8)], 50.0)
    assert [stranger.pid for stranger in reports.standing(60.0)] == [7, 8]
    reports.tell(("far", "b", "k1"), [], 70.0)
    assert reports.standing(80.0) == [one]
    reports.tell(("far", "a", "k2"), [], 80.0)
    assert reports.standing(80.0) == [one], "another key takes nothing back"
    reports.tell(("far", "c", "k2"), [one], 80.0)
    assert reports.standing(80.0) == [one], "the same bot, told by another key"
    reports.tell(("far", "c", "k2"), [], 90.0)
    assert reports.standing(10.0 + REPORT_SECONDS) == [] and reports.held == 0


def test_however_much_is_told_not_more_is_remembered_than_a_limiter_can_hold() -> None:
    reports, one = Reports(), Stranger(7, "python3", "u1/b1", 1, NOW, "far")
    for number in range(MOST_TOLD // 500 + 5):
        host = f"h{number:03}"
        reports.tell((host, "a", "k"), [replace(one, pid=pid, host=host) for pid in range(500)], 1.0)
    standing = reports.standing(2.0)
    assert len(standing) == reports.held == MOST_TOLD
    assert (standing[0].host, standing[-1].host) == ("h005", f"h{MOST_TOLD // 500 + 4:03}"), "the newest"


def test_before_every_agent_has_had_the_time_to_tell_nothing_is_over() -> None:
    assert not Reports(50.0).complete(50.0 + REPORT_SECONDS - 1)
    assert Reports(50.0).complete(50.0 + REPORT_SECONDS)


def test_a_name_of_any_bytes_is_shown_with_marks() -> None:
    assert printable("python3 – été") == "python3 – été"
    assert printable("a\udcff\x00b\n") == "a\ufffd\ufffdb\ufffd"
    assert shown(["bot\udcff", "--token", "x\udcfe"]) == "bot\ufffd --token …"


def test_one_that_was_seen_here_and_told_of_is_listed_once() -> None:
    here, told = Stranger(7, "python3", "python3 bot.py", 1, NOW), Stranger(7, "python3", "u1/b1", 1, NOW, "near")
    assert together([here], [told], "near") == [here]
    assert together([here], [told], "other") == [here, told]
