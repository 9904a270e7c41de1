"""What a batch is decided on, and what it changed.

State holds every live session in memory; rules read it and change it through the methods below, which keep one journal
(undo.py): a request that fails is undone alone (`undo(mark)`), a batch that cannot be committed is undone whole.
`changes` is what the store has to write. Questions that change nothing are functions of room.py and holding.py. All
instants are UTC milliseconds of one clock.
"""

import heapq
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, tzinfo
from itertools import pairwise
from statistics import median
from typing import Any, TypeVar

from limiter.rules.course import SLICE_MS, Point, thin
from limiter.rules.door import Load
from limiter.rules.lease import EDGES_MS
from limiter.rules.limits import Limits
from limiter.rules.records import (
    AuditEntry,
    Changes,
    Channel,
    Delivery,
    Drain,
    Ended,
    Incident,
    Notice,
    RefusalRecord,
    Session,
    Snapshot,
    Step,
    Trade,
    Version,
)
from limiter.rules.refusals import REASONS, Refusal
from limiter.rules.schedule import Outlook, Schedule
from limiter.rules.turns import Ticket
from limiter.rules.undo import UndoJournal
from limiter.rules.windows import HOUR_SECONDS, MINUTE_SECONDS, Day, Window, day_of

K = TypeVar("K")
V = TypeVar("V")
GAPS = 20  # freed slots whose gaps make the advice "try again in …"
RETRY_MIN_SECONDS, RETRY_MAX_SECONDS = 30, 600
STARTS = "starts", ""
"""The window of starts that took a free slot, beside those of the rates."""
SHARED = (
    "limits", "tickets", "sessions", "bots", "repeats", "users", "next_number", "paused", "drain", "plan", "schedule",
    "freed", "trade_days", "windows",
    "last_token_at", "incidents", "deliveries", "channels", "numbers", "beaten", "due", "_retry_after",
)  # fmt: skip
"""What a state has of the database; the rest is of this process."""


class State:
    """Everything a decision may look at. One instance lives as long as the limiter; only the committer changes it."""

    def __init__(self, limits: Limits, zone: tzinfo = UTC) -> None:
        self.limits = limits
        self.zone = zone
        self.sessions: dict[int, Session] = {}
        self.bots: dict[tuple[str, str], Session] = {}
        self.repeats: dict[tuple[str, str | None, str], Session] = {}
        self.users: dict[str, int] = {}
        self.next_number = 1
        self.paused = False
        self.drain: Drain | None = None
        self.plan: tuple[Step, ...] = ()
        self.schedule = Schedule()
        self.draining = False
        self.freed: deque[int] = deque(maxlen=GAPS + 1)
        self.trade_days: dict[tuple[str, str], int] = {}
        self.windows: dict[tuple[str, str], Window] = {}
        self.last_token_at: int | None = None
        self.tickets: dict[str, Ticket] = {}
        self.load: Load | None = None
        self.totals: dict[str, int] = {}
        # For the next snapshot: what was counted, by figure and 5 s; where the number of bots or the limit changed.
        self.unbooked: dict[tuple[str, int], int] = {}
        self.course: list[Point] = []
        self.beaten: dict[int, Session] = {}
        self.gaps = [0] * (len(EDGES_MS) + 1)  # since they were written: by how many leases a gap exceeds, how many
        self.refused: list[RefusalRecord] = []
        self.undecided = 0  # the number of the last RecordUndecided (rules/undecided.py)
        # Of incidents (rules/incidents.py): the open ones by kind, deliveries on their way, channels by name.
        self.language = "fr"
        self.incidents: dict[str, Incident] = {}
        self.deliveries: dict[int, Delivery] = {}
        self.channels: dict[str, Channel] = {}
        self.tells_ends = False
        self.numbers = {"incident": 1, "delivery": 1}
        self.rising: dict[str, int] = {}
        self.told: dict[str, int] = {}
        self.drift: int | None = None  # how far the counts were apart when they were last looked at (rules/counts.py)
        # Fetched by the store for the batch at hand: ended sessions, trades, versions, incidents that it names.
        self.ended: dict[int, Ended] = {}
        self.trades: dict[tuple[str, str], Trade] = {}
        self.versions: dict[int, Version] = {}
        self.past: dict[int, Incident] = {}
        self.counted: Any = None
        self.changes = Changes()
        self.asked_by: Any = None
        """The request that is being decided; None while no request is."""
        self.due: list[tuple[int, int]] = []  # a heap: when a session ends or did, as far as was known, and its number
        self._retry_after: int | None = None
        self._day = Day("", 0, 0)
        self.journal = UndoJournal()

    # -- the batch

    def begin(self) -> None:
        """Forget what the last batch changed and what was fetched for it."""
        self.changes, self.asked_by = Changes(), None
        self.ended, self.trades, self.versions, self.past = {}, {}, {}, {}
        self.journal.clear()
        thin(self.course)

    def mark(self) -> int:
        """A point to undo to."""
        return len(self.journal.calls)

    def undo(self, mark: int = 0) -> None:
        """Take back all that was changed since `mark`, newest first."""
        self.journal.back(mark)

    def put(self, table: dict[K, V], key: K, value: V | None) -> None:
        """Set an entry of a table of this state or of its changes; None takes it out."""
        self.journal.put(table, key, value)

    def adopt(self, fresh: "State", names: Iterable[str] = SHARED) -> None:
        """These parts of a state that was read anew."""
        for name in names:
            setattr(self, name, getattr(fresh, name))

    # -- sessions

    def set_ticket(self, user_id: str, ticket: Ticket | None) -> None:
        """The user's place in the queue; None: no place any more."""
        self.journal.put(self.tickets, user_id, ticket)
        self.journal.put(self.changes.tickets, user_id, True)

    def drained(self, now: int) -> bool:
        """Whether a drain has come to its end: it leaves nobody a slot."""
        return self.drain is not None and self.drain.stop_at is not None and self.drain.stop_at <= now

    def end_of(self, session: Session) -> tuple[int, str]:
        """When and how the session ends if nothing is heard of it any more."""
        notice = session.notice
        at, reason = session.ends_at, "lease_expired"
        if notice is not None and notice.at == at:
            reason = "admin_stop"
        if self.drain is not None and self.drain.stop_at is not None and self.drain.stop_at <= at:
            at, reason = self.drain.stop_at, "drained"
        return at, reason

    def holds(self, session: Session, now: int) -> bool:
        """Whether the session holds its slot at `now`, reaped or not."""
        return session.ends_at > now and not self.drained(now)

    def user_active(self, user_id: str) -> int:
        """Slots that the user holds."""
        return self.users.get(user_id, 0)

    def admit(self, session: Session, *, replaces: bool = False) -> None:
        """Give the session a slot: a new one, or that of the session it `replaces`."""
        at = session.started_at
        self.hold(session)
        self.next_number = session.number + 1
        self.changes.started.append(session)
        self.course.append(Point(at, len(self.sessions), self.limits.max_bots))
        self.journal.calls.append((self._unadmit, session))
        self.count("starts", at)
        if not replaces:
            window = self.windows.get(STARTS) or self.window(*STARTS)
            self.journal.calls.append((window.take_back, window.add(at // 1000, 1), 1))

    def _unadmit(self, session: Session) -> None:
        """One entry of the journal for all four: a start is what happens most."""
        self.course.pop()
        self.changes.started.pop()
        self.next_number = session.number
        self.release(session)

    def end(self, session: Session, at: int, reason: str) -> Ended:
        """Take the slot back. A `replaced` session hands it on instead of freeing it."""
        ended, number = Ended(session, at, reason), session.number
        if number in self.beaten:
            self.journal.put(self.beaten, number, None)
        self.release(session)
        self.journal.calls.append((self.hold, session))
        self.journal.append(self.changes.ended, ended)
        self.trace(ended)
        self.journal.put(self.ended, number, ended)
        if reason != "replaced":
            self.journal.set(self, "freed", self.freed.copy())
            self.freed.append(at)
            self.journal.set(self, "_retry_after", None)
            self.note(at)
        self.count("ended", at)
        self.count(f"ended:{reason}", at)
        return ended

    def beat(
        self,
        session: Session,
        now: int,
        lease_ms: int,
        memory_bytes: int | None = None,
        cpu_seconds: float | None = None,
    ) -> None:
        """Renew the lease, and keep what the bot costs where it says so (see `Session`).

        Not undone with a batch that fails: a bot that is alive is alive.
        """
        self.gaps[bisect_left(EDGES_MS, now - session.expires_at + session.lease_ms)] += 1
        self.renew(session, now, lease_ms)
        if memory_bytes is not None or cpu_seconds is not None:
            session.measure(now, memory_bytes, cpu_seconds)
        self.beaten[session.number] = session

    def expired(self, now: int) -> list[Session]:
        """The sessions that a lease or a notice has ended, earliest first. Costs nothing where none is due."""
        if self.drained(now):
            return sorted(self.sessions.values(), key=lambda session: (self.end_of(session)[0], session.number))
        found: dict[int, Session] = {}
        while self.due and self.due[0][0] <= now:
            _, number = heapq.heappop(self.due)
            session = self.sessions.get(number)
            if session is None or number in found:
                continue
            if session.ends_at <= now:
                found[number] = session
            else:
                heapq.heappush(self.due, (session.ends_at, number))
        return sorted(found.values(), key=lambda session: (session.ends_at, session.number))

    def announce(self, session: Session, notice: Notice | None) -> None:
        """Announce the session's end, in place of what was announced before; None takes it back."""
        self.journal.set(session, "notice", notice)
        self.journal.put(self.changes.notices, session.number, session)
        if notice is not None:
            heapq.heappush(self.due, (session.ends_at, session.number))

    def use(self, session: Session, now: int) -> None:
        """It traded, or took signals or tokens. As with its beats, not undone with a batch that fails."""
        session.used_at = now
        self.beaten[session.number] = session

    def renew_all(self, now: int) -> None:
        """A full lease for everyone: after a restart, or an outage in which no end could be recorded."""
        self.renew_leases(now)
        self.beaten.update(self.sessions)

    # -- the table of sessions, without journal or figures

    def renew_leases(self, at: int) -> None:
        """Every lease is new, from that instant on, although no bot was heard."""
        for session in self.sessions.values():
            session.expires_at = at + session.lease_ms
        self.schedule_ends()

    def hold(self, session: Session) -> None:
        """It has a slot."""
        self.sessions[session.number] = session
        self.bots[session.user_id, session.bot_id] = session
        self.users[session.user_id] = self.users.get(session.user_id, 0) + 1
        if session.idempotency_key is not None:
            self.repeats[session.user_id, session.asked_bot, session.idempotency_key] = session
        heapq.heappush(self.due, (session.ends_at, session.number))
        if len(self.due) > 2 * len(self.sessions) + 1024:
            self.schedule_ends()

    def renew(self, session: Session, now: int, lease_ms: int) -> None:
        """The lease is new, of this length from now on."""
        shorter = now + lease_ms < session.expires_at
        session.lease_ms = lease_ms
        session.last_heartbeat_at = now
        session.expires_at = now + lease_ms
        if shorter:
            heapq.heappush(self.due, (session.expires_at, session.number))

    def schedule_ends(self) -> None:
        """Drop the dates of sessions that are over: under a lease of a day they would pile up for a day."""
        self.due = [(session.ends_at, session.number) for session in self.sessions.values()]
        heapq.heapify(self.due)

    def release(self, session: Session) -> None:
        """It has none any more."""
        del self.sessions[session.number]
        del self.bots[session.user_id, session.bot_id]
        self.users[session.user_id] -= 1
        if not self.users[session.user_id]:
            del self.users[session.user_id]
        if session.idempotency_key is not None:
            del self.repeats[session.user_id, session.asked_bot, session.idempotency_key]
        self.beaten.pop(session.number, None)

    def free(self, at: int) -> None:
        """A slot was freed: it counts for the advice when to try again."""
        self.freed.append(at)
        self._retry_after = None

    def retry_after(self) -> int:
        """Seconds after which a slot is likely free: the median of the last 20 gaps between freed slots, 30 to 600."""
        if self._retry_after is None:
            gaps = [later - earlier for earlier, later in pairwise(self.freed)]
            seconds = round(median(gaps) / 1000) if len(gaps) >= 2 else 0
            self._retry_after = min(RETRY_MAX_SECONDS, max(RETRY_MIN_SECONDS, seconds))
        return self._retry_after

    # -- quotas and rates

    def day(self, now: int) -> Day:
        """The trade day that holds `now`."""
        if not self._day.begins <= now < self._day.ends:
            self._day = day_of(now, self.zone)
            for old in [key for key in self.trade_days if key[1] != self._day.name]:
                del self.trade_days[old]
            for idle in [key for key, window in self.windows.items() if not window.used(now // 1000)]:
                del self.windows[idle]
        return self._day

    def trades_today(self, user_id: str, now: int) -> int:
        """Trades of the user counted today; the store has fetched the figure before the batch."""
        return self.trade_days.get((user_id, self.day(now).name), 0)

    def record_trade(self, trade: Trade) -> None:
        """Count the trade."""
        day = trade.user_id, trade.day
        used = self.trade_days.get(day, 0) + 1
        self.journal.put(self.trades, (trade.user_id, trade.trade_id), trade)
        self.journal.put(self.trade_days, day, used)
        self.journal.put(self.changes.trade_days, day, used)
        self.journal.append(self.changes.trades, trade)
        self.count("trades", trade.at)

    def window(self, kind: str, user_id: str = "") -> Window:
        """What was taken of a rate in the last minute, by all or by one user."""
        window = self.windows.get((kind, user_id))
        if window is None:
            window = self.windows[kind, user_id] = Window(MINUTE_SECONDS)
        return window

    def take(self, kind: str, user_id: str, now: int, n: int) -> None:
        """Count n of a rate, durably, in the second of `now`."""
        second = now // 1000
        key = kind, user_id, second
        window = self.window(kind, user_id)
        self.journal.calls.append((window.take_back, window.add(second, n), n))
        self.journal.put(self.changes.seconds, key, self.changes.seconds.get(key, 0) + n)
        if not user_id:
            self.count(kind, now, n)

    # -- figures

    def count(self, figure: str, now: int, n: int = 1) -> None:
        """Count a happening for the figures of the last hour, the snapshots and the metrics."""
        second = now // 1000
        window = self.windows.get(("hour", figure))
        if window is None:
            window = self.windows["hour", figure] = Window(HOUR_SECONDS)
        key = figure, now - now % SLICE_MS
        self.journal.calls.append((self._uncount, key, window, window.add(second, n), n))
        self.totals[figure] = self.totals.get(figure, 0) + n
        self.unbooked[key] = self.unbooked.get(key, 0) + n

    def _uncount(self, key: tuple[str, int], window: Window, counted: list[int], n: int) -> None:
        window.take_back(counted, n)
        self.totals[key[0]] -= n
        self.unbooked[key] -= n

    def point(self, at: int) -> Point:
        """How many slots are taken, of how many, as from that instant."""
        return Point(at, len(self.sessions), self.limits.max_bots)

    def note(self, at: int) -> None:
        """The number of bots or the limit has changed."""
        self.course.append(self.point(at))
        self.journal.calls.append((self.course.pop,))

    def last_hour(self, figure: str, now: int) -> int:
        """How often it happened in the last hour."""
        window = self.windows.get(("hour", figure))
        return window.used(now // 1000) if window else 0

    def refuse(self, refusal: Refusal, refused: RefusalRecord) -> Refusal:
        """Count the refusal, and keep it with its facts where its reason is one that is kept."""
        if REASONS[refusal.reason].recorded:
            self.journal.append(self.refused, refused)
        self.count(f"refused:{refusal.reason}", refused.at)
        return refusal

    # -- what persons change

    def change_limits(self, limits: Limits, version: Version) -> None:
        """Put new limits in force for the next decision."""
        self.journal.set(self, "limits", limits)
        self.note(version.at)
        self.journal.put(self.versions, version.version, version)
        self.journal.append(self.changes.versions, version)
        self.trace(version)
        if version.user_id is not None:
            self.journal.append(self.changes.overrides, version.user_id)

    def pause(self, paused: bool) -> None:
        """Close or open the door for starts."""
        self.journal.set(self, "paused", paused)
        self.journal.set(self.changes, "pause", True)

    def set_drain(self, drain: Drain | None) -> None:
        """Begin a drain, in place of the one before, or take it back."""
        self.journal.set(self, "drain", drain)
        self.journal.set(self.changes, "drain", True)

    def set_plan(self, plan: tuple[Step, ...]) -> None:
        """Put a launch plan in place of the one before."""
        self.journal.set(self, "plan", plan)
        self.journal.set(self.changes, "plan", True)

    def set_schedule(self, schedule: Schedule) -> None:
        """Windows, the open one, or the probation have changed."""
        if schedule != self.schedule:
            self.journal.set(self, "schedule", schedule)
            self.journal.set(self.changes, "schedule", True)

    def outlook(self) -> Outlook:
        """What MAX_CONCURRENT_BOTS will be if nobody touches it."""
        return Outlook(self.limits, self.plan, self.schedule, self.zone)

    def audit(self, entry: AuditEntry) -> None:
        """Keep who did what."""
        self.journal.append(self.changes.audit, entry)
        self.trace(entry)

    def trace(self, what: Ended | Incident | Version | AuditEntry) -> None:
        """Have a line in the log for it, with the id of the request that is being decided."""
        self.journal.append(self.changes.trace, (self.asked_by, what))

    def write(self, table: str, row: Mapping[str, Any]) -> None:
        """A row that no rule reads again: notes, snapshots."""
        self.journal.append(self.changes.rows, (table, row))

    def read_load(self, load: Load) -> None:
        """What the box was busy with in the last minute."""
        self.journal.set(self, "load", load)

    def snapshot(self, snapshot: Snapshot) -> None:
        """A snapshot, with its rollups; the next one counts from here."""
        self.journal.set(self, "unbooked", {})
        self.journal.set(self, "course", [Point(snapshot.at, snapshot.bots, snapshot.limit)])
        self.journal.append(self.changes.snapshots, snapshot)
