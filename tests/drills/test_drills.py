"""A sound build passes every drill and is left as it was; a build with one fault fails the one that is about it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from limiter import config
from limiter.drills import DRILLS, NAMES, Busy, alerting, perform
from limiter.drills.report import as_markdown, kept
from tests.conftest import ROOT, Limiter

# Each is read by Python at the start of the scratch limiter: the drill that has to fail, and the fault.
FAULTS = {
    "no heartbeat is heard": ("ten", """
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Heartbeat
Heartbeat.decide = lambda self, state, now: Refusal("session_unknown")
"""),
    "the cap is ignored": ("full", """
from limiter.rules.sessions import Start
Start._refuse = lambda self, *facts, **more: None
"""),
    "the sentence is another": ("full", """
from limiter.rules.refusals import REFUSALS
object.__setattr__(next(row for row in REFUSALS if row.name == "server_full"), "fr", "Complet.")
"""),
    "no lease ends": ("silent", """
from limiter.rules.state import State
State.expired = lambda self, now: []
"""),
    "answers are not durable": ("restart", """
from contextlib import suppress
from limiter.store.sqlite_writer import SqliteWriter
begin = SqliteWriter.begin
def begin_or_go_on(self):
    with suppress(Exception):  # within a transaction already
        begin(self)
SqliteWriter.begin, SqliteWriter.commit = begin_or_go_on, lambda self: None
"""),
    "alerts are not sent": ("alert", """
from limiter.channels import Channel
async def send(self, *message):
    return None
Channel.send = send
"""),
}  # fmt: skip


def settings(folder: Path, **env: str) -> config.Config:
    """Of a limiter whose database is in that folder."""
    return config.read({"LIMITER_DATABASE_URL": f"sqlite:///{folder / 'limiter.db'}", **env})


@pytest.mark.slow
def test_a_sound_build_passes_beside_the_live_limiter_which_hears_nothing(
    limiter: Callable[..., Limiter], tmp_path: Path
) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=7, LIMITER_LANG="en", LIMITER_ALERT_URLS="json://127.0.0.1:9/")
    bots = one.fill(7)
    ran = one.run("drill", "--json", str(tmp_path / "results.json"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads((tmp_path / "results.json").read_text())
    assert told["passed"] is True
    assert [row["name"] for row in told["drills"]] == list(NAMES)
    assert {row["max_bots"] for row in told["drills"]} == {100}, "so few slots are 100 there"
    assert all("copy of limiter.db" in row["database"] for row in told["drills"])
    assert kept(settings(tmp_path)).keys() == set(NAMES)
    assert one.capacity()["current_bots"] == 7
    assert all(one.beat(bot).status_code == 200 for bot in bots)
    assert {row["user_id"] for row in one.listed(limit=500)} == {bot["user_id"] for bot in bots}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_build_fails(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, code = FAULTS[fault]
    patched = "import sys\nif sys.orig_argv[-1] == 'serve':\n" + "".join(f"    {line}\n" for line in code.splitlines())
    (tmp_path / "sitecustomize.py").write_text(patched)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.setattr(alerting, "ARRIVES_SECONDS", 3.0)
    (result,) = perform(settings(tmp_path), [name])
    assert not result.passed
    assert result.steps and not result.steps[-1].right, result
    assert "✘" in as_markdown([result], "Drills")


def test_a_build_that_does_not_start_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies = "import os, sys\nif 'serve' in sys.orig_argv:\n    os.write(2, b'no ballast\\n')\n    os._exit(1)"
    (tmp_path / "sitecustomize.py").write_text(dies)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    results = list(perform(settings(tmp_path), ["ten", "alert"]))
    assert [result.fault for result in results] == ["StoreError: the scratch limiter did not start: no ballast"] * 2
    assert not any(result.passed for result in results)


def test_one_at_a_time_and_the_next_one_after_it_broke_off(tmp_path: Path) -> None:
    first = perform(settings(tmp_path), ["ten"])
    next(first)
    with pytest.raises(Busy):
        next(perform(settings(tmp_path), ["ten"]))
    first.close()
    assert list(perform(settings(tmp_path), [])) == []


def test_names_are_words_and_titles_are_in_both_languages() -> None:
    assert all(one.name.isalpha() and one.fr != one.en for one in DRILLS)
