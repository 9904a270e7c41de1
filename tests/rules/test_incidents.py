"""What operators are told: every crossing once, by the highest level, with hysteresis; and readings that bode ill."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.rules.alerts import LEVELS, RULES, message
from limiter.rules.changes import ChangeLimits
from limiter.rules.guards import Guard
from limiter.rules.headlines import CAPACITY, Reader, headline, past
from limiter.rules.incidents import MAX_CROSSINGS, Acknowledge, Observe, SendTest, rank, watch
from limiter.rules.records import Channel, Incident, Step
from limiter.rules.room import capacity
from limiter.rules.sessions import Reap
from limiter.rules.state import State
from limiter.rules.strangers import Stranger
from limiter.rules.vitals import Vitals
from tests.rules.world import CALM, HOUR, MINUTE, NOW, SECOND, admitted, decide, new_state, refused, start, stop, tokens

THRESHOLD, URGENT, FULL = "⚠️ Capacité à 80 % !", "🚨 URGENT : Presque plein !", "❌ SERVEUR PLEIN !"
WELL = Vitals(sample_age_seconds=3.0, clock_step_seconds=0.0, disk_free_bytes=30 * 1024**3)


def told(state: State) -> list[str]:
    """The titles of all messages that wait, in their order."""
    return [delivery.title for delivery in state.deliveries.values()]


def fleet(**values: Any) -> State:
    """An empty fleet with one channel."""
    state = new_state(**values)
    state.channels = {"mail": Channel()}
    return state


def move(state: State, bots: int, now: int = NOW) -> State:
    """Start or stop bots, one after the other, until so many run."""
    while len(state.sessions) < bots:
        admitted(state, f"u{state.next_number}", now=now)
        watch(state, now)
    while len(state.sessions) > bots:
        stop(state, next(iter(state.sessions.values())), now)
        watch(state, now)
    return state


def change(state: State, now: int = NOW, **values: Any) -> None:
    """Change limits live."""
    decide(state, ChangeLimits(values, "tests", None, True, "tests", CALM, 1000), now)
    watch(state, now)


def opened(state: State, kind: str = CAPACITY) -> Incident:
    """The open incident of that kind, which must be there."""
    return state.incidents[kind]


# -- the occupancy


def test_each_crossing_of_the_guide_is_told_once_in_one_incident() -> None:
    state = fleet()
    move(state, 159)
    assert told(state) == [] and not state.incidents
    move(state, 160)
    assert told(state) == [THRESHOLD]
    move(state, 189)
    assert told(state) == [THRESHOLD]
    move(state, 190)
    assert told(state) == [THRESHOLD, URGENT]
    move(state, 200)
    assert told(state) == [THRESHOLD, URGENT, FULL]
    incident = opened(state)
    assert [(one.level, one.bots, one.limit) for one in incident.crossings] == [
        ("threshold", 160, 200),
        ("urgent", 190, 200),
        ("full", 200, 200),
    ]
    assert (incident.number, message(incident, "fr"), incident.peak, incident.peak_limit) == (1, FULL, 200, 200)
    assert {delivery.incident for delivery in state.deliveries.values()} == {1}


def test_the_message_says_how_many_and_how_much_room() -> None:
    state = move(fleet(), 160)
    (delivery,) = state.deliveries.values()
    assert delivery.body == "160/200 bots actifs (80,0 %), 40 places libres."


def test_in_english_where_that_is_the_language() -> None:
    state = fleet()
    state.language = "en"
    move(state, 200)
    assert told(state) == ["⚠️ Capacity at 80%!", "🚨 URGENT: Almost full!", "❌ SERVER FULL!"]
    assert next(iter(state.deliveries.values())).body == "160/200 active bots (80.0%), 40 free slots."


def test_a_level_closes_only_5_percent_below() -> None:
    state = move(fleet(), 200)
    move(state, 190)
    assert opened(state).rank == 3, "190 is not below 95 %"
    move(state, 200)
    assert len(told(state)) == 3
    move(state, 189)
    assert opened(state).rank == 2
    move(state, 200)
    assert told(state)[3:] == [FULL]
    move(state, 180)
    assert opened(state).rank == 2, "180 is not below 90 %"
    move(state, 150)
    assert opened(state).rank == 1, "150 is not below 75 %"
    move(state, 149, NOW + MINUTE)
    assert not state.incidents
    assert len(told(state)) == 4, "the end is not told unless that is asked for"


def test_after_the_end_a_new_incident() -> None:
    state = move(fleet(), 160)
    move(state, 149)
    move(state, 160)
    assert told(state) == [THRESHOLD, THRESHOLD]
    assert opened(state).number == 2


def test_a_changed_limit_crosses_too_and_the_highest_level_speaks() -> None:
    state = move(fleet(), 100)
    change(state, MAX_CONCURRENT_BOTS=100)
    assert told(state) == [FULL]
    change(state, MAX_CONCURRENT_BOTS=104)
    assert opened(state).rank == 3, "100 of 104 is not below 95 %"
    change(state, MAX_CONCURRENT_BOTS=200)
    assert not state.incidents
    change(state, ALERT_THRESHOLD=50)
    assert told(state) == [FULL, "⚠️ Capacité à 50 % !"]


@pytest.mark.parametrize("threshold", [95, 99])
def test_a_threshold_of_95_or_more_drops_the_level_of_95(threshold: int) -> None:
    state = move(fleet(ALERT_THRESHOLD=threshold), 200)
    assert told(state) == [f"⚠️ Capacité à {threshold} % !", FULL]


def test_a_limit_of_0_closes_all_silently() -> None:
    state = fleet()
    state.tells_ends = True
    move(state, 200)
    change(state, MAX_CONCURRENT_BOTS=0)
    assert not state.incidents
    assert len(told(state)) == 3
    start(state, "late")
    watch(state, NOW)
    assert not state.incidents


def test_the_end_is_told_where_that_is_asked_for() -> None:
    state = fleet()
    state.tells_ends = True
    move(state, 160)
    move(state, 149, NOW + 12 * MINUTE)
    assert told(state) == [THRESHOLD, "✅ Terminé après 12 min : pic 160/200"]


def test_the_end_of_a_full_server_says_when_it_was_full_and_repeats_no_alarm() -> None:
    state = fleet(BOT_LEASE_SECONDS=86_400)
    state.tells_ends = True
    move(state, 200, NOW)
    move(state, 199, NOW + 3 * MINUTE)
    move(state, 149, NOW + 12 * MINUTE)
    begin, end = (datetime.fromtimestamp(at / 1000, UTC) for at in (NOW, NOW + 3 * MINUTE))
    assert told(state)[-1] == f"✅ Terminé après 12 min : plein de {begin:%H:%M} à {end:%H:%M}"
    assert not any(level.fr.format(percent=80) in told(state)[-1] for level in LEVELS)


def test_a_headline_says_now_and_the_worst() -> None:
    state = fleet(BOT_LEASE_SECONDS=86_400)

    def says(now: int) -> str:
        return headline(state.incidents["capacity"], Reader("en", UTC, now, capacity(state, now)))

    move(state, 160)
    assert says(NOW) == "⚠️ Capacity at 80%!"
    move(state, 200, NOW + MINUTE)
    assert says(NOW + MINUTE) == "❌ SERVER FULL!"
    move(state, 160, NOW + 4 * MINUTE)
    begin, end = (datetime.fromtimestamp((NOW + n * MINUTE) / 1000, UTC) for n in (1, 4))
    assert says(NOW + 4 * MINUTE) == f"80% now, was full {begin:%H:%M}–{end:%H:%M}"
    move(state, 200, NOW + 5 * MINUTE)
    days = Reader("en", UTC, NOW + 3 * 86_400_000, capacity(state, NOW))
    spell = past(replace(state.incidents["capacity"], facts={"full": [NOW + MINUTE, NOW + 4 * MINUTE, 1, 0]}), days)
    day = f"{begin.day} {begin:%b}"
    assert spell == f"was full {day} {begin:%H:%M}–{end:%H:%M}", "the day once"
    move(state, 170, NOW + 5 * MINUTE + 20 * SECOND)
    assert says(NOW + 6 * MINUTE).startswith("85% now, was full 2 times, 3 min 20 s in all, last ")
    move(state, 149, NOW + 9 * MINUTE)
    assert not state.incidents


@pytest.mark.parametrize(
    ("full", "fr", "en"),
    [
        ([0, 180, 1, 0], "plein du 27 nov. 23:58 au 28 nov. 00:01", "was full 27 Nov 23:58–28 Nov 00:01"),
        ([240, 7_500, 3, 300_000], "plein 3 fois, 2 h 06 min en tout, la dernière de 00:02 à 02:03",
         "was full 3 times, 2 h 06 min in all, last 00:02–02:03"),
        ([240, 270, 1, 0], "plein de 00:02:00 à 00:02:30", "was full 00:02:00–00:02:30"),
        ([240, None, 1, 0], "plein depuis 00:02", "full since 00:02"),
        ([0, None, 1, 0], "plein depuis le 27 nov. 23:58", "full since 27 Nov 23:58"),
        ([345_600, None, 1, 0], "plein depuis le 1er déc. 23:58", "full since 1 Dec 23:58"),
        ([-31_536_000, None, 1, 0], "plein depuis le 27 nov. 2025 23:58", "full since 27 Nov 2025 23:58"),
    ],
)  # fmt: skip
def test_days_and_durations_are_written_as_the_reader_writes_them(full: list[int | None], fr: str, en: str) -> None:
    """Of an incident that was full from and until so many seconds after 23:58 of the day before."""
    state = move(fleet(BOT_LEASE_SECONDS=86_400), 200)
    evening = int(datetime(2026, 11, 27, 23, 58, tzinfo=UTC).timestamp() * 1000)
    begin, until, n, before = full
    ends = [None if one is None else evening + one * SECOND for one in (begin, until)]
    incident = replace(state.incidents["capacity"], facts={"full": [*ends, n, before]})
    now = evening + 4 * HOUR
    assert [past(incident, Reader(language, UTC, now)) for language in ("fr", "en")] == [fr, en]


def test_a_peak_below_full_is_told_as_one() -> None:
    state = fleet(BOT_LEASE_SECONDS=86_400)
    move(state, 190)
    move(state, 161, NOW + MINUTE)
    assert headline(state.incidents["capacity"], Reader("fr", UTC, NOW, capacity(state, NOW))) == (
        "80,5 % maintenant, pic 190/200"
    )


def test_a_small_limit_goes_to_full_at_once() -> None:
    assert told(move(fleet(MAX_CONCURRENT_BOTS=1), 1)) == [FULL]


def test_a_lease_that_runs_out_closes_too() -> None:
    state = move(fleet(), 160)
    decide(state, Reap(), NOW + HOUR)
    watch(state, NOW + HOUR)
    assert not state.incidents


@given(
    maximum=st.integers(0, 300),
    threshold=st.integers(1, 99),
    bots=st.lists(st.integers(0, 330), max_size=40),
)
def test_levels_are_as_if_each_were_watched_alone(maximum: int, threshold: int, bots: list[int]) -> None:
    percents = {1: threshold, 3: 100} | ({2: 95} if threshold < 95 else {})
    open_alone: set[int] = set()
    before = 0
    for current in bots:
        for level, percent in percents.items():
            if maximum and 100 * current >= percent * maximum:
                open_alone.add(level)
            elif not maximum or 100 * current < (percent - 5) * maximum:
                open_alone.discard(level)
        before = rank(current, maximum, threshold, before)
        assert before == max(open_alone, default=0)


def test_a_batch_that_fails_takes_its_crossing_back() -> None:
    state = move(fleet(), 159)
    admitted(state, "one")
    watch(state, NOW)
    assert told(state) == [THRESHOLD]
    state.undo()
    assert told(state) == [] and not state.incidents and state.numbers == {"incident": 1, "delivery": 1}
    assert not state.changes.incidents and not state.changes.deliveries
    admitted(state, "again")
    watch(state, NOW)
    assert told(state) == [THRESHOLD]
    assert opened(state).number == 1


def test_refusals_are_counted_inside_and_not_before() -> None:
    state = fleet()
    change(state, MAX_CONCURRENT_BOTS=0)
    refused(start(state, "u0"), "server_full")
    change(state, MAX_CONCURRENT_BOTS=10)
    move(state, 10)
    for n in range(3):
        refused(start(state, f"late{n}"), "server_full")
    refused(start(state, next(iter(state.users))), "user_limit")
    decide(state, Observe(WELL))
    assert opened(state).refusals == {"server_full": 3, "user_limit": 1}
    refused(start(state, "late"), "server_full")
    move(state, 7)
    (over,) = state.changes.incidents.values()
    assert over.status == "resolved"
    assert over.refusals == {"server_full": 4, "user_limit": 1}


def test_an_incident_keeps_its_first_and_its_latest_crossings() -> None:
    state = fleet(MAX_CONCURRENT_BOTS=20, BOT_LEASE_SECONDS=86_400)
    for minute in range(60):
        move(state, 19, NOW + minute * MINUTE)
        move(state, 17, NOW + minute * MINUTE)
    crossings = opened(state).crossings
    assert len(crossings) == MAX_CROSSINGS
    assert crossings[0].level == "threshold"
    assert crossings[-1].at == NOW + 59 * MINUTE


# -- people


def test_who_acknowledges_first_is_kept() -> None:
    state = move(fleet(), 160)
    first = decide(state, Acknowledge(1, "more RAM ordered", "ana"), NOW + MINUTE)
    assert first.status == "acknowledged"
    assert decide(state, Acknowledge(1, "me too", "bob"), NOW + 2 * MINUTE) == first
    assert (first.acknowledged_at, first.acknowledged_by, first.acknowledged_reason) == (
        NOW + MINUTE,
        "ana",
        "more RAM ordered",
    )
    assert opened(state) == first


def test_a_higher_level_opens_it_again() -> None:
    state = move(fleet(), 160)
    decide(state, Acknowledge(1, "", "ana"))
    move(state, 190)
    assert opened(state).status == "open"


def test_one_that_is_over_can_be_acknowledged_and_stays_over() -> None:
    state = move(fleet(), 160)
    over = replace(opened(state), rank=0, resolved_at=NOW + 1)
    move(state, 149)
    move(state, 160)
    state.begin()
    state.past = {over.number: over}  # as the store brings it
    answer = Acknowledge(over.number, "", "ana").decide(state, NOW + 2)
    assert isinstance(answer, Incident) and answer.status == "resolved" and answer.acknowledged_by == "ana"
    assert state.changes.incidents[over.number] == answer
    assert opened(state).number == 2


def test_an_unknown_one_cannot() -> None:
    refused(decide(fleet(), Acknowledge(7, "", "ana")), "not_found")


def test_a_test_goes_to_every_channel() -> None:
    state = fleet()
    state.channels["chat"] = Channel()
    sent = decide(state, SendTest("ana"))
    assert [(one.channel, one.title, one.incident) for one in sent] == [
        ("mail", "🔔 Message d'essai du limiteur", None),
        ("chat", "🔔 Message d'essai du limiteur", None),
    ]
    assert [entry.action for entry in state.changes.audit] == ["alert_test"]


# -- readings


def observe(state: State, now: int = NOW, **readings: Any) -> None:
    decide(state, Observe(replace(WELL, **readings)), now)


def test_strangers_are_told_when_they_were_seen_twice_and_over_when_none_is_left() -> None:
    state = fleet()
    seen = [
        Stranger(4711, "python3", "python3 bot.py --pair ETH", 10**8, NOW),
        Stranger(4712, "node", "node x", 1, NOW),
    ]
    observe(state, strangers=None)
    assert told(state) == []
    observe(state, strangers=seen)
    assert told(state) == [
        "👻 Bots sans place : 2, dont le processus 4711 (python3). Une place, là où il tourne : "
        "limiter run --adopt 4711 --user U"
    ]
    assert "ETH" not in told(state)[0], "channels are outside: no command line goes there"
    observe(state, strangers=None)
    assert opened(state, "strangers").resolved_at is None
    observe(state, strangers=())
    assert "strangers" not in state.incidents


def test_nothing_is_told_while_all_is_well() -> None:
    state = fleet()
    observe(state)
    assert not state.incidents and not state.changes


@pytest.mark.parametrize(
    ("kind", "bad", "between", "well", "said"),
    [
        (
            "disk",
            {"disk_free_bytes": 100 * 1024**2},
            {"disk_free_bytes": 220 * 1024**2},
            {"disk_free_bytes": 300 * 1024**2},
            "💾 Disque presque plein : 100 Mio libres",
        ),
        (
            "snapshots",
            {"sample_age_seconds": 31},
            {"sample_age_seconds": 20},
            {"sample_age_seconds": 5},
            "🕳️ Aucune mesure depuis 31 s",
        ),
        (
            "backup",
            {"backup_age_seconds": 27 * 3600},
            {"backup_age_seconds": None},
            {"backup_age_seconds": 60},
            "🗄️ Dernière sauvegarde il y a 27 h",
        ),
    ],
)
def test_a_reading_opens_and_closes(
    kind: str, bad: dict[str, Any], between: dict[str, Any], well: dict[str, Any], said: str
) -> None:
    state = fleet()
    observe(state, **between)
    assert not state.incidents
    observe(state, **bad)
    assert told(state) == [said]
    assert message(opened(state, kind), "fr") == said
    observe(state, **bad)
    observe(state, **between)
    assert told(state) == [said]
    assert state.incidents
    observe(state, NOW + MINUTE, **well)
    assert not state.incidents


@pytest.mark.parametrize(("step", "said"), [(3600.0, "+3600,0"), (-86400.0, "-86400,0")])
def test_a_moved_clock_is_told_after_2_seconds(step: float, said: str) -> None:
    state = fleet()
    observe(state, clock_step_seconds=step)
    assert not state.incidents
    observe(state, NOW + 2 * SECOND, clock_step_seconds=step)
    assert told(state) == [f"🕒 L'horloge a été décalée de {said} s"]


def test_a_flat_feed_is_told_after_a_minute_with_bots_and_tokens_that_day() -> None:
    state = fleet(BOT_LEASE_SECONDS=86_400)
    admitted(state, "u1")
    for minute in range(5):
        observe(state, NOW + minute * MINUTE)
    assert not state.incidents, "no token ever came"
    tokens(state, 10, NOW + 5 * MINUTE)
    observe(state, NOW + 6 * MINUTE + SECOND)
    assert not state.incidents
    observe(state, NOW + 7 * MINUTE + SECOND)
    assert told(state) == ["📉 Flux à plat : 0 tokens/min"]
    tokens(state, 10, NOW + 8 * MINUTE)
    observe(state, NOW + 8 * MINUTE)
    assert not state.incidents


def test_a_flat_feed_without_bots_is_nobodys_loss() -> None:
    state = fleet()
    tokens(state, 10)
    for minute in range(2, 9):
        observe(state, NOW + minute * MINUTE)
    assert not state.incidents


def test_a_held_step_of_the_launch_plan_is_told_once() -> None:
    state = fleet()
    state.plan = (Step(NOW, 250, "held", None, (Guard("cpu", 91.0, 80, True),)),)
    observe(state)
    observe(state, NOW + MINUTE)
    assert told(state) == ["⏸️ Plan de lancement retenu : CPU 91,0 % > 80 %"]
    assert message(opened(state, "plan"), "en") == "⏸️ Launch plan held: CPU 91.0% > 80%"
    state.plan = (Step(NOW, 250, "applied", NOW),)
    observe(state, NOW + 2 * MINUTE)
    assert not state.incidents


def test_an_outage_is_recorded_when_it_is_over() -> None:
    state = fleet()
    observe(state, NOW + MINUTE, outage_since=NOW)
    (incident,) = state.changes.incidents.values()
    assert (incident.kind, incident.opened_at, incident.resolved_at) == ("storage", NOW, NOW + MINUTE)
    assert told(state) == [], "the channels were told while it lasted"


def test_every_alert_has_both_languages() -> None:
    for alert in (*LEVELS, *RULES):
        assert alert.fr and alert.en and alert.fr != alert.en
        assert alert.severity in ("info", "success", "warning", "failure")
