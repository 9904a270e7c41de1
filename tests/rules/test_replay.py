"""Demand decided again: without changes it refuses what was refused; with a changed limit, what that would have."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import time
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from limiter.rules.changes import Change, ChangeLimits, OverrideUser, apply
from limiter.rules.peaks import FollowSchedule, SetWindows
from limiter.rules.records import Ended, Facts, Session
from limiter.rules.replay import Demand, Instead, replay, takes_the_place
from limiter.rules.schedule import DAYS, MAX, PeakWindow
from limiter.rules.sessions import Admission
from limiter.rules.state import State
from tests.rules.world import CALM, HOUR, NOW, SECOND, asked, decide, new_state, stop

STAY = 600 * SECOND
Event = tuple[str, Any, Any, int]
"""What happens (start, stop, limits, own, windows), to whom or what, with what, seconds after the one before."""


class History:
    """Events driven through the real rules, an instant of its own for each; `demands` as the store reads them back."""

    def __init__(self, events: Iterable[Event], since: int = NOW, **limits: Any) -> None:
        self.since, self.sessions, self.ends = (
            since,
            list[tuple[Session, bool, bool, int | None, int]](),
            dict[int, Ended](),
        )
        self.refused: list[tuple[Demand, Session | None]] = []
        self.state, now = new_state(BOT_LEASE_SECONDS=86_400, **limits), NOW
        for kind, who, what, wait in events:
            now += wait * SECOND + 1
            decide(self.state, FollowSchedule(CALM, CALM, 150), now)
            getattr(self, f"_{kind}")(who, what, now)

    def _owns(self, user: str, now: int) -> bool:
        return user in self.state.limits.overrides and self.state.limits.overrides[user].holds(now)

    def _window(self) -> int | None:
        cap = self.state.limits.settings[MAX]
        assert isinstance(cap.value, int)
        return cap.value if cap.source == "window" else None

    def _kept(self, facts: Facts) -> int:
        return self.state.limits.max_bots - facts.max_bots

    def _start(self, user: str, bot: str | None, now: int) -> None:
        before, window = self.state.bots.get((user, bot or "")), self._window()
        answer = decide(self.state, asked(user, bot), now)
        self._note_ends()
        if isinstance(answer, Admission):
            kept = self._kept(answer.session.facts)
            self.sessions.append((answer.session, before is not None, self._owns(user, now), window, kept))
        else:
            facts = self.state.refused[-1].facts
            assert facts is not None
            own = self._owns(user, now)
            kept = self._kept(facts)
            refused = Demand(
                now, user, bot, False, facts, holds=before is not None, own_limit=own, window=window, kept=kept
            )
            self.refused.append((refused, before))

    def _stop(self, place: int, _: Any, now: int) -> None:
        alive = list(self.state.sessions.values())
        if alive:
            stop(self.state, alive[place % len(alive)], now)
            self._note_ends()

    def _limits(self, name: str, value: int, now: int) -> None:
        decide(self.state, ChangeLimits({name: value}, "tests", None, True, "tests", CALM, 150), now)

    def _own(self, user: str, value: int | None, now: int) -> None:
        own = {} if value is None else {"MAX_BOTS_PER_USER": value}
        decide(self.state, OverrideUser(user, own, None, "tests", "tests"), now)

    def _reserve(self, user: str, member: bool, now: int) -> None:
        decide(self.state, OverrideUser(user, {}, None, "tests", "tests", reserve=member), now)

    def _windows(self, windows: tuple[PeakWindow, ...], _: Any, now: int) -> None:
        decide(self.state, SetWindows(windows, "tests", "tests"), now)

    def _note_ends(self) -> None:
        self.ends |= {ended.session.number: ended for ended in self.state.changes.ended}

    def end_of(self, session: Session | None) -> tuple[int | None, bool]:
        """When it ended, and whether it was replaced."""
        ended = self.ends.get(session.number) if session is not None else None
        return (None, False) if ended is None else (ended.at, ended.reason == "replaced")

    @property
    def demands(self) -> list[Demand]:
        """Those since `since`."""
        kept = [
            Demand(
                one.started_at,
                one.user_id,
                one.asked_bot,
                True,
                one.facts,
                held,
                *self.end_of(one),
                own,
                window=window,
                kept=slots,
            )
            for one, held, own, window, slots in self.sessions
        ]
        for one, before in self.refused:
            end, replaced = self.end_of(before)
            kept.append(replace(one, ended_at=end, replaced=replaced))
        return [one for one in kept if one.at >= self.since]

    def brute_force(self, windows: Mapping[int, int] | None = None, **changes: Any) -> Counter[str]:
        """Refusals by user under these changes, and what stands in place of windows by their value, from a world that
        keeps every session: (user, bot) → when it ends."""
        world: dict[tuple[str, str], tuple[int | None, bool]] = {
            (one.user_id, one.bot_id): self.end_of(one)
            for one, *_ in self.sessions
            if one.started_at < self.since and (self.end_of(one)[0] or self.since) >= self.since
        }
        refused: Counter[str] = Counter()
        for number, demand in enumerate(sorted(self.demands, key=lambda one: one.at)):
            now, key = demand.at, (demand.user_id, demand.bot_id or f"unnamed {number}")
            for one, (end, replaced) in list(world.items()):
                if end is not None and (end <= now if one != key or not replaced else end < now):
                    del world[one]
            most = changes.get(MAX, demand.facts.max_bots + demand.kept) - demand.kept
            if demand.window is not None:
                most = (windows or {}).get(demand.window, demand.window) - demand.kept
            of_user = changes.get("MAX_BOTS_PER_USER", demand.facts.user_max)
            if demand.own_limit:
                of_user = demand.facts.user_max
            held = sum(user == demand.user_id for user, _ in world)
            if of_user > 0 and (key in world or (held < of_user and len(world) < most)):
                world[key] = (demand.ended_at, demand.replaced) if demand.admitted else (now + STAY, False)
                continue
            refused[demand.user_id] += 1
            if key in world and demand.admitted and world[key] == (now, True):
                del world[key]  # its bot has started anew, whatever it was told
        return refused


def demands(steps: list[tuple[str, str | None, int]], stop_after: int | None = None, **limits: Any) -> list[Demand]:
    """What these starts (user, bot, seconds since the one before) leave behind under these limits. With `stop_after`
    the oldest session is stopped behind each start from then on; None: they stay."""
    events: list[Event] = []
    for number, (user, bot, wait) in enumerate(steps):
        events.append(("start", user, bot, wait))
        if stop_after is not None and number >= stop_after:
            events.append(("stop", 0, None, 0))
    return History(events, **limits).demands


def again(found: list[Demand], windows: Mapping[int, int] | None = None, **changes: Any) -> dict[str, Any]:
    """The replay under these changes, and these in place of windows."""
    return replay(found, Instead(changes, windows or {}), STAY, 7)


starts = st.tuples(
    st.just("start"), st.sampled_from(("u1", "u2", "u3")), st.sampled_from((None, "b1", "b2")), st.integers(0, 400)
)
stops = st.tuples(st.just("stop"), st.integers(0, 9), st.none(), st.integers(0, 400))
changed = st.one_of(
    st.tuples(st.just("limits"), st.just("MAX_CONCURRENT_BOTS"), st.integers(0, 5), st.just(1)),
    st.tuples(st.just("limits"), st.just("MAX_BOTS_PER_USER"), st.integers(0, 3), st.just(1)),
    st.tuples(st.just("own"), st.sampled_from(("u1", "u2")), st.sampled_from((None, 0, 1, 3)), st.just(1)),
    st.tuples(st.just("reserve"), st.sampled_from(("u1", "u2")), st.booleans(), st.just(1)),
)
minutes = st.integers(0, 12).map(lambda fives: time(12 + fives // 12, 5 * fives % 60))  # NOW is noon
peaks = st.tuples(
    st.just("windows"),
    st.lists(st.builds(PeakWindow, st.just(DAYS), minutes, minutes, st.integers(0, 5)), max_size=3, unique=True).map(
        tuple
    ),
    st.none(),
    st.just(1),
)
histories = st.builds(
    History,
    st.lists(st.one_of(starts, starts, starts, starts, stops, changed, peaks), max_size=50),
    st.sampled_from((NOW, NOW + HOUR)),
    MAX_CONCURRENT_BOTS=st.integers(0, 4),
    MAX_BOTS_PER_USER=st.integers(0, 3),
    RESERVED_SLOTS=st.integers(0, 2),
)


@settings(max_examples=1000)
@given(histories)
def test_without_changes_it_is_what_happened(history: History) -> None:
    found = history.demands
    result = again(found)
    assert result["refused_then"] == result["refused_now"] == sum(not one.admitted for one in found)
    assert (result["demands"], result["users_affected"]) == (len(found), 0)
    assert result["refused_then"] == history.brute_force().total()


@settings(max_examples=2000)
@given(
    histories,
    st.dictionaries(st.sampled_from((MAX, "MAX_BOTS_PER_USER")), st.integers(0, 5)),
    st.dictionaries(st.integers(0, 5), st.integers(0, 5), max_size=2),
)
def test_under_other_limits_it_is_what_a_simulation_of_every_session_gives(
    history: History, changes: dict[str, int], windows: dict[int, int]
) -> None:
    result, expected = again(history.demands, windows, **changes), history.brute_force(windows, **changes)
    happened = Counter(one.user_id for one in history.demands if not one.admitted)
    assert result["refused_then"] == expected.total()
    assert result["users_affected"] == sum(expected[user] != happened[user] for user in expected | happened)


def test_a_window_rules_in_the_replay_too() -> None:
    noon = PeakWindow(DAYS, time(12), time(13), 1)
    asks: list[Event] = [("start", f"u{n}", None, 1) for n in range(3)]
    found = History([("windows", (noon,), None, 0), *asks, ("start", "late", None, 3600)], MAX_CONCURRENT_BOTS=1)
    assert [one.window for one in found.demands] == [1, 1, 1, None]
    assert again(found.demands)["refused_then"] == 3
    assert again(found.demands, MAX_CONCURRENT_BOTS=9)["refused_then"] == 2, "all but the one after its end"
    assert again(found.demands, {1: 9})["refused_then"] == 1, "the one after its end alone"


def test_slots_that_were_kept_from_a_user_are_kept_from_him_under_another_limit_too() -> None:
    asks: list[Event] = [("start", f"u{n}", None, 1) for n in range(4)]
    found = History([("reserve", "vip", True, 0), *asks], MAX_CONCURRENT_BOTS=5, RESERVED_SLOTS=2).demands
    assert [one.kept for one in found] == [2, 2, 2, 2]
    assert again(found)["refused_then"] == 1
    assert again(found, MAX_CONCURRENT_BOTS=4)["refused_then"] == 2
    assert again(found, MAX_CONCURRENT_BOTS=6)["refused_then"] == 0


def test_a_change_stands_where_no_window_ruled_or_in_place_of_the_one_that_is_open() -> None:
    def proposed(state: State, value: int | Literal["back"], now: int) -> Instead:
        changes: dict[str, Change] = {MAX: value, "MAX_BOTS_PER_USER": 2}
        settings = apply(state.limits, changes, "tests", now)
        return takes_the_place(state.schedule, state.limits, settings, changes, now)

    windows: list[Event] = [("windows", (PeakWindow(DAYS, time(12), time(13), 5),), None, 0)]
    before = History(windows).state
    assert proposed(before, 9, NOW) == Instead({MAX: 9, "MAX_BOTS_PER_USER": 2})
    within = History([*windows, ("stop", 0, None, 1)]).state
    assert proposed(within, 9, NOW + HOUR // 2) == Instead({"MAX_BOTS_PER_USER": 2}, {5: 9})
    assert proposed(within, "back", NOW + HOUR // 2) == Instead({MAX: 200, "MAX_BOTS_PER_USER": 2}, {5: 200})
    assert proposed(within, 9, NOW + 2 * HOUR).changes[MAX] == 9, "it is over"


def test_a_bot_that_would_have_been_refused_is_refused_at_its_restarts_too() -> None:
    found = demands([("u1", "b1", 0), ("u1", "b2", 1), ("u1", "b2", 1), ("u1", "b2", 1)], MAX_BOTS_PER_USER=2)
    assert again(found, MAX_BOTS_PER_USER=1)["refused_then"] == 3


def test_a_bot_from_before_the_first_demand_restarts_in_its_slot() -> None:
    events: list[Event] = [("start", "u1", "b1", 0), ("start", "u1", "b1", 7200)]
    history = History(events, NOW + HOUR, MAX_BOTS_PER_USER=1)
    assert (again(history.demands)["demands"], again(history.demands)["refused_then"]) == (1, 0)


@given(st.lists(starts, max_size=40), st.integers(0, 4), st.integers(0, 3))
def test_a_limit_of_0_refuses_everything_and_a_huge_one_nothing(
    events: list[Event], max_bots: int, per_user: int
) -> None:
    found = History(events, MAX_CONCURRENT_BOTS=max_bots, MAX_BOTS_PER_USER=per_user).demands
    assert again(found, MAX_BOTS_PER_USER=0)["refused_then"] == len(found)
    assert again(found, MAX_BOTS_PER_USER=10_000, MAX_CONCURRENT_BOTS=1_000_000)["refused_then"] == 0


def test_a_raise_admits_who_was_refused_for_the_median_stay() -> None:
    found = demands([("u1", "b1", 0), ("u2", "b1", 1), ("u3", "b1", 1), ("u3", "b1", 601)], MAX_CONCURRENT_BOTS=1)
    result = again(found, MAX_CONCURRENT_BOTS=2)
    assert (result["refused_now"], result["refused_then"], result["users_affected"]) == (3, 1, 2)


def test_a_lowered_limit_refuses_who_was_admitted_until_he_left() -> None:
    found = demands([("u1", "b1", 0), ("u2", "b1", 1), ("u3", "b1", 1)], stop_after=0)
    assert again(found, MAX_CONCURRENT_BOTS=1)["refused_then"] == 0
    found = demands([("u1", "b1", 0), ("u2", "b1", 1), ("u3", "b1", 1)])
    result = again(found, MAX_CONCURRENT_BOTS=1)
    assert (result["refused_now"], result["refused_then"], result["users_affected"]) == (0, 2, 2)


def test_users_with_a_limit_of_their_own_keep_it() -> None:
    events: list[Event] = [("own", "vip", 2, 0)]
    events += [("start", user, bot, 1) for user in ("vip", "u1") for bot in ("b1", "b2")]
    found = History(events, MAX_BOTS_PER_USER=2).demands
    assert again(found, MAX_BOTS_PER_USER=1)["refused_then"] == 1


def test_a_flood_counts_each_of_its_refusals() -> None:
    found = demands([("u1", None, 0)], MAX_CONCURRENT_BOTS=0)
    flood = [Demand(found[0].at + HOUR, "u1", None, False, found[0].facts, repeats=1000)]
    assert again(flood)["refused_then"] == again(flood)["refused_now"] == 1000


@pytest.mark.parametrize("field", ["days", "demands", "refused_now", "refused_then", "users_affected"])
def test_no_demand_is_an_answer_too(field: str) -> None:
    assert again([])[field] == (7 if field == "days" else 0)
