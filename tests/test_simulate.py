"""Simulated bots: what they count themselves, and a run against a real limiter."""

from collections.abc import Callable

import pytest

from limiter.simulate import Tally, percentile, summary
from tests.conftest import Limiter
from tests.journeys.console_process import free_port


def test_a_slot_above_the_limit_is_found_out() -> None:
    tally = Tally()
    for _ in range(3):
        tally.admit(2, new_slot=True)
    assert (tally.most_held, tally.over) == (3, 1)
    assert ("above the limit", 1, "THE LIMIT WAS BROKEN") in summary(tally, lambda fr, en: en)


def test_slots_taken_over_given_back_or_under_a_limit_lowered_meanwhile_are_not_above_it() -> None:
    tally = Tally()
    for _ in range(3):
        tally.admit(3, new_slot=True)
    tally.admit(3, new_slot=False)
    tally.free()
    tally.admit(3, new_slot=True)
    tally.free()
    tally.admit(2, new_slot=True)
    assert (tally.admitted, tally.most_held, tally.over) == (6, 3, 0)


@pytest.mark.parametrize(
    ("reason", "row"),
    [
        ("out_of_reach", "refused: limiter out of reach"),
        ("not_a_limiter", "refused: what answers is no limiter"),
        ("server_full", "refused: server full"),
        ("of_a_later_limiter", "refused: of_a_later_limiter"),
    ],
)
def test_every_reason_that_a_client_hears_has_a_row(reason: str, row: str) -> None:
    tally = Tally(admitted=1)
    tally.refused[reason], tally.sentences[reason] = 2, "why"
    assert (row, 2, "why") in summary(tally, lambda fr, en: en)


def test_where_no_limiter_answers_the_command_fails_with_one_sentence(limiter: Callable[..., Limiter]) -> None:
    one = limiter(LIMITER_LANG="en")
    url = f"http://127.0.0.1:{free_port()}"
    done = one.run("simulate", "--bots", "3", "--seconds", "1", "--url", url)
    assert done.returncode == 1
    assert f"No limiter answers at {url}" in done.stderr and "Traceback" not in done.stderr
    assert not done.stdout.strip()


def test_percentiles() -> None:
    assert percentile([], 50) == 0
    assert percentile([7.0], 99) == 7
    assert percentile([float(n) for n in range(1, 102)], 50) == pytest.approx(51)


def test_more_bots_than_slots_are_refused_and_never_admitted_above_the_limit(limiter: Callable[..., Limiter]) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=40, BOT_LEASE_SECONDS=5, LIMITER_LANG="en")
    done = one.run("simulate", "--bots", "60", "--seconds", "6")
    assert done.returncode == 0, done.stderr
    rows = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert "Server full (40/40 active bots). Try again in a few minutes." in rows["refused: server full"]
    assert rows["most slots held at once"].split()[-3:] == ["40", "of", "40"]
    assert rows["above the limit"].split()[-2:] == ["0", "never"]
    for what in ("trades", "signals", "tokens", "bots that crashed", "bots that fell silent"):
        assert int(rows[what].removeprefix(what).split()[0]) > 0, rows[what]
    calls = int(rows["other calls, p50 / p99"].split()[-1])
    granted = sum(int(rows[what].split()[-2]) for what in ("trades", "signals", "tokens"))
    no_slot = ("refused: server full", "refused: limit of the user")
    refused = [name for name in rows if name.startswith("refused: ") and name not in no_slot]
    assert granted + sum(int(rows[name].removeprefix(name).split()[0]) for name in refused) == calls
    ended = {row["ended_reason"] for row in one.listed(status="ended", limit=500)}
    assert {"stopped", "replaced", "lease_expired"} <= ended
