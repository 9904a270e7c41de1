"""A limit that changes by itself, a door that is shut: who sets windows, plan, probation and drain, and the log of it.

When each comes is reckoned here from what was asked for, on the wall clock, minute by minute; nothing is asked of the
program's rules.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from tests.truth.diary import MINUTE, SECOND, Diary, Stay, text
from tests.truth.play import BEAT_AT, BEAT_MS, Play

MAX = "MAX_CONCURRENT_BOTS"
BY_ITSELF = re.compile("(✅ Over after [0-9]+ min: )?[⏸↩]")  # how messages begin that are not of the occupancy


WHY = {
    "plan": "launch plan: {} bots", "window": "window: {} bots", "window_over": "end of the window: {} bots",
    "unconfirmed": "not confirmed in time", "tripped": "a guard held for a minute",
}  # fmt: skip


class Change(NamedTuple):
    """Who changed the limit, how, why, and from what to what."""

    at: int
    who: str
    kind: str
    why: str
    before: int
    after: int

    @property
    def moved(self) -> str:
        """As every place writes it."""
        return f"{MAX} {self.before} → {self.after}"


@dataclass(frozen=True)
class Window:
    """On these days so many bots, from one time of the wall clock to another, which is later."""

    days: str
    begins: str
    ends: str
    most: int

    def holds(self, at: datetime) -> bool:
        """Whether the clock on the wall shows a time within."""
        return f"{at:%a}".lower() in self.days and self.begins <= f"{at:%H:%M}" < self.ends

    @property
    def asked(self) -> dict[str, Any]:
        """As the API takes it."""
        return {"days": self.days.split(","), "from": self.begins, "to": self.ends, MAX: self.most}


@dataclass
class Drain:
    """From when on, until when who is left may stay, and when somebody took it back."""

    since: int
    stop_at: int
    reason: str
    over: int | None = None


class Agenda(Diary):
    """The log, with who did what and why, and with drains."""

    def __init__(self, zone: str, limits: dict[str, Any]) -> None:
        super().__init__(zone, limits)
        self.by: list[tuple[str, str]] = []  # who and why, of each of `done`
        self.steps: list[dict[str, Any]] = []  # of the plan: at, most, status, applied_at
        self.windows: list[Window] = []
        self.drains: list[Drain] = []
        self.ruled: list[tuple[int, bool]] = [(0, False)]  # at, whether a window gives the limit from then on
        self.by_hand_until = 0  # the end of the window in which somebody changed the limit
        self.own_messages: list[str] = []  # how they begin, in order
        self.gaps: list[int] = []  # ms between two beats of a bot, its start being one

    def did(self, at: int, who: str, action: str, target: str, why: str = "") -> None:
        """Somebody, or the limiter by itself."""
        self.done.append((at, action, target))
        self.by.append((who, why))

    def whys(self, newest: int) -> list[str]:
        """A person's own words, or what the limiter does by itself."""
        return [one.why for one in self.changes()][len(self.limits) - 1 - newest :]

    def changes(self) -> list["Change"]:
        """Each change of the limit, in order."""
        made = [one for one in zip(self.done, self.by, strict=True) if one[0][2] == "limits" and one[0][1] != "confirm"]
        moves = [(before[MAX], after[MAX]) for (_, before), (_, after) in pairwise(self.limits)]
        return [
            Change(at, who, kind, why or WHY[kind].format(move[1]), *move)
            for ((at, kind, _), (who, why)), move in zip(made, moves, strict=True)
        ]

    def beat(self, at: int, stay: Stay) -> None:
        """A heartbeat was answered."""
        self.gaps.append(at - max(stay.heard, self.ups[-1][0]))  # what lies before is not known
        super().beat(at, stay)

    def passed(self, at: int) -> None:
        """A drain that ends leaves nobody, from its own instant on."""
        drain = self.drains[-1] if self.drains else None
        if drain is not None and drain.over is None and drain.stop_at <= at:
            super().passed(drain.stop_at - 1)
            for stay in list(self.living()):
                stay.end, stay.reason = drain.stop_at, "drained"
                self._count(drain.stop_at)
        super().passed(at)

    def drained(self, at: int) -> Drain | None:
        """The drain that went on then."""
        return next((one for one in self.drains if one.since <= at and (one.over is None or at < one.over)), None)

    def capacity(self, at: int) -> dict[str, Any]:
        """Nobody is let in while a drain goes on."""
        held = super().capacity(at)
        return held | {"can_accept_new": held["can_accept_new"] and self.drained(at) is None}

    def cpu(self, at: int, seconds: int) -> float:
        """What the guards read then: the mean of the samples before, since the limiter started."""
        since = max(at - seconds * SECOND, self.ups[-1][0])
        found = [one.cpu for one in self.samples if since <= one.at < at]
        return sum(found) / len(found)

    def coming(self, at: int, base: int, most: int = 10) -> list[tuple[int, int]]:
        """(instant, limit) of the next changes if nobody touches it; `base`: what holds beside windows and steps."""
        found, before, until = list[tuple[int, int]](), self.limit(at), at + 14 * 24 * 60 * MINUTE
        # How long a guard will hold nobody knows: a step that is held, and those behind it, are not foretold.
        is_held = any(one["status"] == "held" for one in self.steps)
        waiting = [one for one in self.steps if one["status"] != "applied" and not is_held]
        for minute in range(at - at % MINUTE + MINUTE, until + 1, MINUTE):
            local = datetime.fromtimestamp(minute / 1000, self.zone)
            value = next((one.most for one in self.windows if one.holds(local)), None)
            if minute < self.by_hand_until:
                value = before
            if value is None:
                due = [one["most"] for one in waiting if one["at"] <= minute]
                value = due[-1] if due else base
            if value != before:
                found.append((minute, value))
            before = value
        return found[:most]

    def wall(self, text: str) -> int:
        """The instant from which on the clock on the wall shows this time or a later one, of the day after launch."""
        begin = self.day(self.ups[0][0])[2]
        minutes = range(begin, begin + 25 * 60 * MINUTE, MINUTE)
        return next(one for one in minutes if f"{datetime.fromtimestamp(one / 1000, self.zone):%H:%M}" >= text)


class Operators(Play):
    """Two operators, each with a key of his own."""

    diary: Agenda
    log = Agenda

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.keys, self.names = dict[str, str](), dict[str, str]()
        for name in ("anna", "bob"):
            made = self.admin("POST", "keys", {"scope": "admin:write", "name": name})
            self.keys[name], self.names[name] = made["key"], f"{name}#{made['id']}"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Those about the occupancy."""
        return [one for one in super().messages if not BY_ITSELF.match(one["title"])]

    @property
    def of_itself(self) -> list[str]:
        """What the channel was told of the schedule."""
        return [one["title"] for one in super().messages if BY_ITSELF.match(one["title"])]

    def ask(self, who: str, method: str, path: str, **body: Any) -> Any:
        """An operator's call with his own key, which must be granted."""
        headers = {"Authorization": f"Bearer {self.keys[who]}", "Accept-Language": "en"}
        answer = self.http.request(method, f"/api/admin/{path}", json=body, headers=headers)
        assert answer.is_success, (method, path, answer.text)
        return answer.json()

    # -- what they ask for

    def set_windows(self, who: str, *windows: Window) -> None:
        why = f"{who} knows when people come"
        self.ask(who, "PUT", "windows", windows=[one.asked for one in windows], reason=why)
        self.diary.windows = list(windows)
        self.diary.did(self.now, self.names[who], "windows", f"{len(windows)} windows", why)

    def set_plan(self, who: str, *steps: tuple[int, int]) -> None:
        why = f"{who} goes step by step"
        self.ask(who, "PUT", "plan", steps=[{"at": text(at), MAX: most} for at, most in steps], reason=why)
        self.diary.steps = [{"at": at, "most": most, "status": "planned", "applied_at": None} for at, most in steps]
        self.diary.did(self.now, self.names[who], "plan", f"{len(steps)} steps", why)

    def raise_to(self, who: str, most: int, within: int | None = None) -> int:
        """A change by hand, on probation for so many seconds; its version."""
        why = f"{who} tries {most}"
        trial = {} if within is None else {"confirm_within": within}
        answer = self.ask(who, "PATCH", "limits", changes={MAX: most}, reason=why, **trial)
        self.moved(self.names[who], "limits", most, why)
        return int(answer["version"])

    def confirm(self, who: str, version: int) -> None:
        why = f"{who} has seen that it is well"
        self.ask(who, "POST", "limits/confirm", version=version, reason=why)
        self.diary.did(self.now, self.names[who], "confirm", "limits", why)

    def drain(self, who: str, seconds: int) -> None:
        why = f"{who} moves house"
        self.ask(who, "POST", "drain", reason=why, stop_in_seconds=seconds)
        self.diary.drains.append(Drain(self.now, self.now + seconds * SECOND, why))
        self.diary.did(self.now, self.names[who], "drain", "starts", why)

    def drain_over(self, who: str) -> None:
        why = f"{who} has moved"
        self.ask(who, "DELETE", "drain", reason=why)
        self.diary.drains[-1].over = self.now
        self.diary.did(self.now, self.names[who], "drain_back", "starts", why)

    # -- what comes of it

    def moved(self, who: str, kind: str, most: int, why: str = "") -> None:
        """The limit has just become so many, by somebody or by itself."""
        self.diary.changed(self.now, **{MAX: most})
        self.diary.ruled.append((self.now, kind == "window"))
        self.diary.did(self.now, who, kind, "limits", why)

    def step_held(self, place: int) -> None:
        """A step of the plan is due and a guard holds."""
        step = self.diary.steps[place]
        step["status"] = "held"
        self.diary.did(self.now, "plan", "held", f"{step['most']} bots")
        self.diary.own_messages.append("⏸️ Launch plan held: CPU ")

    def step_taken(self, place: int) -> None:
        """It is applied now."""
        step = self.diary.steps[place]
        step |= {"status": "applied", "applied_at": self.now}
        self.moved("plan", "plan", step["most"])

    def looks(self) -> Iterator[int]:
        """The next instants at which the limiter looks at what is due."""
        while True:
            self.to(self._next())
            yield self.now

    def _next(self) -> int:
        """The next multiple of 5 s, or the next beat."""
        after = self.now + 1
        return min(after + -after % (5 * SECOND), after + (BEAT_AT - after) % BEAT_MS)

    def knock(self, user: str, bot: str) -> Stay | None:
        """Ask for a slot, at an instant of its own."""
        self.after(1.1)
        return self.start(user, bot)
