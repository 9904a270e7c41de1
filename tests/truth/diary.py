"""An own log of everything that was done to a limiter, and what its figures must be by that log alone.

Nothing of the program is imported here: what a figure means is written down once more, from the pages that define it.
Instants are UTC milliseconds, and the log is in their order.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
SLICE = 5 * SECOND  # history says of what happened in which 5 s it was
MADE = ("limits", "override", "rollback", "window", "window_over", "unconfirmed", "tripped")
STATUSES = ("LOW", "HEALTHY", "WARNING", "FULL")


@dataclass
class Stay:
    """A session, from its start until its end."""

    public_id: str
    user: str
    bot: str
    start: int
    lease: int  # ms
    heard: int
    expires: int
    end: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened: at this instant, what, of whom, how much."""

    at: int
    what: str  # start, tokens, signals, trade, refusal
    user: str | None = None
    n: int = 1
    told: dict[str, Any] = field(default_factory=dict)


LEVELS = ("threshold", "urgent", "full")


@dataclass
class Alarm:
    """From the first crossing on; `fulls`: the times at 100 %."""

    begin: int
    end: int | None = None
    rank: int = 0
    peak: int = 0
    peak_limit: int = 0
    crossings: list[tuple[int, str, int, int]] = field(default_factory=list)
    fulls: list[tuple[int, int]] = field(default_factory=list)
    full_since: int | None = None


@dataclass(frozen=True)
class Sample:
    """When the limiter looked at itself, at how many bots, and what the box read."""

    at: int
    bots: int
    cpu: float
    ram: float


class Diary:
    """The log. Its first half is written by who drives the limiter, its second half reads it."""

    def __init__(self, zone: str, limits: dict[str, Any]) -> None:
        self.zone = ZoneInfo(zone)
        self.stays: list[Stay] = []
        self.events: list[Event] = []
        self.samples: list[Sample] = []
        self.ups: list[list[int]] = []  # [from, until] in which a limiter ran
        self.limits: list[tuple[int, dict[str, Any]]] = [(0, dict(limits))]
        self.own: list[tuple[int, str, dict[str, Any]]] = []  # at, user, his own limits from then on
        self.paused: list[tuple[int, bool]] = [(0, False)]
        self.done: list[tuple[int, str, str]] = []  # at, what an operator did, to what
        self.counts: list[tuple[int, int]] = []  # at, bots from then on

    # -- what is written down

    def up(self, at: int) -> None:
        """A limiter started: every bot has a whole lease again."""
        self.ups.append([at, at])
        for stay in self.living():
            stay.expires = at + stay.lease
        self._count(at)

    def down(self, at: int) -> None:
        """It ended."""
        self.passed(at)
        self.ups[-1][1] = at

    def passed(self, at: int) -> None:
        """So late is it while it runs: leases that ran out have ended at their own instant."""
        for stay in sorted(self.living(), key=lambda one: one.expires):
            if stay.expires <= at:
                stay.end, stay.reason = stay.expires, "lease_expired"
                self._count(stay.expires)
        self.ups[-1][1] = at

    def sampled(self, at: int, cpu: float, ram: float) -> None:
        """The limiter looked at itself."""
        self.passed(at)
        self.samples.append(Sample(at, len(list(self.living())), cpu, ram))

    def started(self, at: int, public_id: str, user: str, bot: str, lease: int) -> None:
        """A start was admitted; it takes the place of the same bot's session."""
        for stay in self.living():
            if (stay.user, stay.bot) == (user, bot):
                stay.end, stay.reason = at, "replaced"
        self.stays.append(Stay(public_id, user, bot, at, lease, at, at + lease))
        self.events.append(Event(at, "start", user))
        self._count(at)

    def beat(self, at: int, stay: Stay) -> None:
        """A heartbeat was answered."""
        stay.heard, stay.expires = at, at + stay.lease

    def ended(self, at: int, stay: Stay, reason: str) -> None:
        """A stop was answered."""
        stay.end, stay.reason = at, reason
        self._count(at)

    def happened(self, at: int, what: str, user: str | None = None, n: int = 1, **told: Any) -> None:
        """Tokens or signals were taken, a trade was counted, somebody was refused."""
        self.events.append(Event(at, what, user, n, told))

    def changed(self, at: int, **limits: Any) -> None:
        """Limits were changed."""
        self.limits.append((at, {**self.limits[-1][1], **limits}))
        self._count(at)

    def gave(self, at: int, user: str, **limits: Any) -> None:
        """A user has these limits of his own, and no others."""
        self.own.append((at, user, limits))

    def _count(self, at: int) -> None:
        self.counts.append((at, len(list(self.living()))))

    # -- what was at an instant

    def living(self) -> Iterator[Stay]:
        """Sessions that have not ended yet."""
        return (stay for stay in self.stays if stay.end is None)

    def held(self, at: int) -> list[Stay]:
        """Who held a slot then, by start."""
        return [stay for stay in self.stays if stay.start <= at and (stay.end is None or at < stay.end)]

    def limit(self, at: int, name: str = "MAX_CONCURRENT_BOTS", user: str | None = None) -> Any:
        """A limit in force then, for that user where one is named."""
        value = next(limits[name] for since, limits in reversed(self.limits) if since <= at)
        own: dict[str, Any] = next((kept for since, who, kept in reversed(self.own) if who == user and since <= at), {})
        return own.get(name, value)

    def is_paused(self, at: int) -> bool:
        """Whether starts were paused then."""
        return next(paused for since, paused in reversed(self.paused) if since <= at)

    def capacity(self, at: int) -> dict[str, Any]:
        """The six figures of the contract."""
        now, most = len(self.held(at)), self.limit(at)
        return {
            "current_bots": now,
            "max_bots": most,
            "percent_used": 1000 * now // most / 10 if most else 100.0,
            "available_slots": most - now,
            "status": status(now, most),
            "can_accept_new": now < most and not self.is_paused(at) and self.limit(at, "MAX_BOTS_PER_USER") > 0,
        }

    def suspects(self, at: int) -> list[Stay]:
        """Who missed two heartbeats: a bot beats three times a lease."""
        return [stay for stay in self.held(at) if at - self._since(stay) > 2 * stay.lease // 3]

    def _since(self, stay: Stay) -> int:
        return stay.expires - stay.lease  # its last beat, or the start of the limiter that renewed it

    def told(self, what: str, begin: int, end: int, user: str | None = None, **like: Any) -> list[Event]:
        """Events of [begin, end)."""
        return [
            one
            for one in self.events
            if one.what == what and begin <= one.at < end and user in (None, one.user)
            and all(one.told.get(name) == value for name, value in like.items())
        ]  # fmt: skip

    def of_the_last(self, seconds: int, what: str, at: int, **like: Any) -> int:
        """How many in the running second and so many before it."""
        begin = (at // SECOND - seconds) * SECOND
        return sum(one.n for one in self.told(what, begin, at + 1, **like))

    def refused(self, begin: int, end: int) -> dict[str, int]:
        """By reason, in [begin, end)."""
        return dict(Counter(one.told["reason"] for one in self.told("refusal", begin, end)))

    def refused_last_hour(self, at: int) -> dict[str, int]:
        """By reason."""
        begin = (at // SECOND - 3600) * SECOND
        return self.refused(begin, at + 1)

    def day(self, at: int) -> tuple[str, int, int]:
        """The trade day that holds the instant: name, beginning, end."""
        local = datetime.fromtimestamp(at / 1000, self.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        following = (midnight + timedelta(days=1)).replace(tzinfo=self.zone)
        return f"{local:%Y-%m-%d}", *(int(one.timestamp() * 1000) for one in (midnight, following))  # type: ignore[return-value]

    def trades_today(self, at: int, user: str | None = None) -> int:
        """Counted trades of the day so far."""
        _, begin, _ = self.day(at)
        return len(self.told("trade", begin, at + 1, user))

    def versions(self) -> list[tuple[int, str]]:
        """When and how each version of the limits was made, from the second on."""
        return [(at, act) for at, act, of in self.done if act in MADE or (act, of) == ("plan", "limits")]

    def whys(self, newest: int) -> list[str]:
        """Why the newest changes of the limit were made."""
        return ["as the script says"] * newest

    # -- what was over a time

    def known(self, begin: int, end: int) -> list[tuple[int, int]]:
        """The parts of [begin, end) in which a limiter ran and was sampled until."""
        found = []
        for since, until in self.ups:
            last = max((one.at for one in self.samples if since <= one.at <= until), default=since)
            if max(begin, since) <= min(end - 1, last):
                found.append((max(begin, since), min(end, last)))
        return found

    def course(self, begin: int, end: int) -> list[tuple[int, int, int, int]]:
        """How it went in the known parts: from, until, bots, limit; parts of no length are among them."""
        found = []
        for since, until in self.known(begin, end):
            before = [(at, bots) for at, bots in self.counts if at < since]
            inside = [(at, bots) for at, bots in self.counts if since <= at <= until and at < end]
            points = [(since, before[-1][1]), *inside] if before and not (inside and inside[0][0] == since) else inside
            for (at, bots), over in zip(points, [*(at for at, _ in points[1:]), until], strict=True):
                found.append((at, over, bots, self.limit(at)))
        return found

    def spent(self, begin: int, end: int) -> Counter[str]:
        """Milliseconds in each status. What was reached and left within one instant is one of them, in its 5 s."""
        spent: Counter[str] = Counter()
        touched: dict[int, list[tuple[int, str]]] = {}
        for since, until, bots, most in self.course(begin, end):
            reached = status(bots, most)
            spent[reached] += until - since
            for row in range(since // SLICE, max(since, until - 1) // SLICE + 1):
                inside = min(until, (row + 1) * SLICE) - max(since, row * SLICE)
                touched.setdefault(row, []).append((inside, reached))
        for parts in touched.values():
            worst = max((reached for _, reached in parts), key=STATUSES.index)
            if any(ms for ms, _ in parts) and not any(ms for ms, reached in parts if reached == worst):
                spent[worst] += 1
        return spent

    def load(self, begin: int, end: int) -> dict[str, Any]:
        """The peak and its last instant, begun seconds from 80 % on and at 100 %, refusals by reason."""
        course, spent = self.course(begin, end), self.spent(begin, end)
        peak = max(bots for _, _, bots, _ in course)
        return {
            "peak": peak,
            "busy": -(-(spent["WARNING"] + spent["FULL"]) // SECOND),
            "full": -(-spent["FULL"] // SECOND),
            "refusals": self.refused(begin, end),
        }

    def buckets(self, begin: int, end: int, step: int) -> list[dict[str, Any]]:
        """History in buckets of `step` seconds, from the one that holds `begin` on, as of the newest sample."""
        width = step * SECOND
        return [
            bucket
            for at in range(begin // width * width, -(-end // width) * width, width)
            if (bucket := self._bucket(at, at + width)) is not None
        ]

    def _bucket(self, begin: int, end: int) -> dict[str, Any] | None:
        course = self.course(begin, end)
        if not course:
            return None
        bots = [n for _, _, n, _ in course]
        seen = [one for one in self.samples if begin <= one.at < end]
        last = min(end - 1, max(until for _, until, _, _ in course))
        end = min(end, self.samples[-1].at + 1)  # what came since is said with the next sample
        return {
            "at": text(begin),
            "bots": {
                "min": min(bots),
                "mean": round(sum(one.bots for one in seen) / len(seen), 2) if seen else max(bots),
                "max": max(bots),
            },
            "limit": self.limit(last),
            "cpu_percent": round(sum(one.cpu for one in seen) / len(seen), 1) if seen else None,
            "ram_percent": round(sum(one.ram for one in seen) / len(seen), 1) if seen else None,
            "tokens": sum(one.n for one in self.told("tokens", begin, end)),
            "signals": sum(one.n for one in self.told("signals", begin, end)),
            "starts": len(self.told("start", begin, end)),
            "refusals": self.refused(begin, end),
        }

    def alarms(self, until: int) -> list["Alarm"]:
        """The times of occupancy alerts: from the first crossing until it is 5 % under the lowest level."""
        found: list[Alarm] = []
        for at, bots in self.counts:
            if at > until:
                break
            most = self.limit(at)
            levels = [self.limit(at, "ALERT_THRESHOLD"), 95, 100]
            alarm = found[-1] if found and found[-1].end is None else None
            before = alarm.rank if alarm else 0
            rank = max(
                (n for n, level in enumerate(levels, 1)
                 if 100 * bots >= (level if n > before else level - 5) * most),
                default=0,
            )  # fmt: skip
            if alarm is None and rank:
                alarm = Alarm(at)
                found.append(alarm)
            if alarm is None:
                continue
            if rank > before:
                alarm.crossings.append((at, LEVELS[rank - 1], bots, most))
            alarm.rank = rank
            if bots > alarm.peak:
                alarm.peak, alarm.peak_limit = bots, most
            if bots >= most and alarm.full_since is None:
                alarm.full_since = at
            elif bots < most and alarm.full_since is not None:
                alarm.fulls.append((alarm.full_since, at))
                alarm.full_since = None
            if rank == 0:
                alarm.end = at
        return found

    def slot_ms(self, user: str, begin: int, end: int) -> int:
        """How long that user's bots held slots in [begin, end)."""
        return sum(
            max(0, min(stay.end or end, end) - max(stay.start, begin)) for stay in self.stays if stay.user == user
        )


def status(bots: int, most: int) -> str:
    """By exact integers: from 50, 80 and 100 %."""
    if bots >= most:
        return "FULL"
    return "WARNING" if 100 * bots >= 80 * most else "HEALTHY" if 100 * bots >= 50 * most else "LOW"


def text(at: int | None) -> str | None:
    """An instant as the API writes it."""
    return (
        None
        if at is None
        else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"
    )
