"""Start, heartbeat, stop, reap: the requests of bots about their slot, each with the rule that decides it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from limiter.rules.capacity import Capacity
from limiter.rules.holding import suspects
from limiter.rules.operating import OperatorRequest
from limiter.rules.records import AuditEntry, Ended, Facts, RefusalRecord, Session
from limiter.rules.refusals import Refusal
from limiter.rules.room import barred, capacity, is_shut, queue, slots_for, turns
from limiter.rules.state import State
from limiter.rules.turns import ASKED_MS, Place, Ticket
from limiter.rules.words import Words
from limiter.system_limits import Value

DRAINED = Words(
    "Le serveur est en train d'être vidé : aucun bot ne démarre. Réessaie plus tard.",
    "The server is being drained: no bot starts. Try again later.",
)
SUSPENDED = Words("Ce compte est suspendu.", "This account is suspended.")
SUSPENDED_FOR = Words(f"{SUSPENDED.fr} Motif : {{why}}", f"{SUSPENDED.en} Reason: {{why}}")
PAUSED_RETRY_SECONDS = 60
DRAINING_RETRY_SECONDS = 5
USER_LIMIT_RETRY_SECONDS = 30


class Admission(Struct, frozen=True):
    """A slot is held. `created` is False for a repeated Idempotency-Key, which gets the session it already has."""

    session: Session
    created: bool


class Start(Struct, frozen=True):
    """A bot asks for a slot. `made_bot` is the name it gets where it gave none; `secret` is fresh random; `process` is
    the identity of the bot's process (limiter/processes.py), where it is told. `queue`: give it a turn where there is
    no room; `ticket`: the one that it was given.
    """

    request_id: str
    user_id: str
    bot_id: str | None
    made_bot: str
    secret: str
    idempotency_key: str | None = None
    process: str | None = None
    queue: bool = False
    ticket: str | None = None

    def decide(self, state: State, now: int) -> Admission | Refusal:
        """Admit, repeat or refuse; in this order: draining, paused, the user's limit, what bars the door
        (door.py), the system's limit."""
        if self.idempotency_key is not None:
            repeated = state.repeats.get((self.user_id, self.bot_id, self.idempotency_key))
            if repeated is not None:
                return Admission(repeated, created=False)
        limits = state.limits
        values = limits.of(self.user_id, now)
        user_max, lease_seconds = values["MAX_BOTS_PER_USER"], values["BOT_LEASE_SECONDS"]
        assert isinstance(user_max, int) and isinstance(lease_seconds, int)
        facts = Facts(
            active=len(state.sessions),
            max_bots=slots_for(state, self.user_id, now) if limits.reserves else limits.max_bots,
            user_active=state.user_active(self.user_id),
            user_max=user_max,
            version=limits.version,
        )
        replaced = state.bots.get((self.user_id, self.bot_id)) if self.bot_id is not None else None
        refusal = self._refuse(state, now, facts, replaces=replaced is not None)
        if refusal is not None:
            return refusal
        if replaced is not None:
            state.end(replaced, now, "replaced")
        elif self.user_id in state.tickets:
            state.set_ticket(self.user_id, None)
        session = Session(
            number=state.next_number,
            secret=self.secret,
            user_id=self.user_id,
            bot_id=self.bot_id if self.bot_id is not None else self.made_bot,
            asked_bot=self.bot_id,
            idempotency_key=self.idempotency_key,
            started_at=now,
            lease_ms=lease_seconds * 1000,
            last_heartbeat_at=now,
            expires_at=now + lease_seconds * 1000,
            facts=facts,
            process=self.process,
        )
        state.admit(session, replaces=replaced is not None)
        return Admission(session, created=True)

    def _refuse(self, state: State, now: int, facts: Facts, replaces: bool) -> Refusal | None:
        if self.ticket is not None and self._holds_ticket(state):
            self._ask_with(state, now)
        if is_shut(state):
            return self._record(state, now, facts, _closed(state))
        if facts.user_max == 0 or (not replaces and facts.user_active >= facts.user_max):
            told = {"active": facts.user_active, "limit": facts.user_max}
            refusal = Refusal("user_limit", told, USER_LIMIT_RETRY_SECONDS)
            if facts.user_max == 0:
                refusal = _suspended(state, self.user_id, now)
            return self._record(state, now, facts, refusal, "MAX_BOTS_PER_USER", facts.user_max, facts.user_active)
        bar = barred(state, now) if state.limits.bars and not replaces else None
        if bar is not None:
            return self._record(state, now, facts, *bar)
        if not replaces and (facts.active >= facts.max_bots or self._is_anothers_turn(state, facts.active, now)):
            place = self._place(state, now)
            refusal = _server_full(capacity(state, now), state.retry_after(), place)
            most = state.limits.max_bots
            if facts.active < facts.max_bots:  # what is free is another's turn
                facts = replace(facts, max_bots=facts.active)
            return self._record(state, now, facts, refusal, "MAX_CONCURRENT_BOTS", most, facts.active)
        return None

    # Turns

    def _holds_ticket(self, state: State) -> bool:
        """Whether it names the ticket that its user has: another's, an old one or a used one is none."""
        held = state.tickets.get(self.user_id) if self.ticket is not None else None
        return held is not None and held.id == self.ticket

    def _ask_with(self, state: State, now: int) -> None:
        held = state.tickets[self.user_id]
        if now - held.asked_at >= ASKED_MS:
            state.set_ticket(self.user_id, Ticket(held.id, held.user_id, held.number, now))

    def _is_anothers_turn(self, state: State, active: int, now: int) -> bool:
        if not state.tickets:
            return False
        mine, nobodys = turns(state, self.user_id, active, now)
        return not nobodys and not (self._holds_ticket(state) and self.user_id in mine)

    def _place(self, state: State, now: int) -> Place | None:
        """Its place in the queue, at the end of which it is put where it asks for a turn and has none."""
        if not self.queue and (self.ticket is None or not self._holds_ticket(state)):
            return None
        if self.user_id not in state.tickets:
            number = max((one.number for one in state.tickets.values()), default=0) + 1
            state.set_ticket(self.user_id, Ticket(f"t.{self.secret}", self.user_id, number, now))
        mine, waiting = state.tickets[self.user_id], queue(state, now)
        return Place(mine.id, 1 + sum(one.number < mine.number for one in waiting), len(waiting), mine.expires_at)

    def _record(
        self,
        state: State,
        now: int,
        facts: Facts,
        refusal: Refusal,
        limit: str | None = None,
        value: Value = None,
        count: int | None = None,
    ) -> Refusal:
        refused = RefusalRecord(
            self.request_id, now, self.user_id, self.bot_id, refusal.reason, limit, value, count, facts.version, facts
        )
        return state.refuse(refusal, refused)


def _closed(state: State) -> Refusal:
    """Why nobody is let in, whoever asks."""
    if state.draining:
        return Refusal("draining", {}, DRAINING_RETRY_SECONDS)
    if state.drain is not None:
        return Refusal("draining", {}, PAUSED_RETRY_SECONDS, words=DRAINED)
    return Refusal("paused", {}, PAUSED_RETRY_SECONDS)


def _suspended(state: State, user_id: str, now: int) -> Refusal:
    """Waiting helps where the suspension is the user's own and ends."""
    told: dict[str, Any] = {"active": state.user_active(user_id), "limit": 0}
    own = state.limits.overrides.get(user_id)
    if own is None or not own.holds(now) or "MAX_BOTS_PER_USER" not in own.limits:
        return Refusal("user_limit", told, words=SUSPENDED)
    ends = own.until is not None and state.limits.whole("MAX_BOTS_PER_USER") > 0
    wait = -(-(own.until - now) // 1000) if ends and own.until is not None else None
    return Refusal("user_limit", {**told, "why": own.reason}, wait, words=SUSPENDED_FOR)


@lru_cache(maxsize=8)  # in a flood one is like the other, and what is the same is written out once (http/wire.py)
def _server_full(held: Capacity, retry_after: int, place: Place | None = None) -> Refusal:
    facts: dict[str, Any] = {"current": held.current, "max": held.maximum, "capacity": held.as_dict()}
    if place is not None:
        facts["ticket"] = place._asdict()
    return Refusal("server_full", facts, retry_after)


def find(state: State, number: int, secret: str) -> Session | Ended | Refusal:
    """The live or ended session that a bot names by its secret."""
    session = state.sessions.get(number)
    if session is not None:
        return session if session.secret == secret else Refusal("session_unknown")
    ended = state.ended.get(number)
    if ended is None or ended.session.secret != secret:
        return Refusal("session_unknown")
    return ended


def gone(ended: Ended) -> Refusal:
    """The answer to a bot whose session is over."""
    return Refusal("session_ended", {"ended_at": ended.at, "ended_reason": ended.reason})


class Heartbeat(Struct, frozen=True):
    """A bot says that it is alive, and what it costs and which process it is where that is known: see `Session`."""

    number: int
    secret: str
    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    process: str | None = None

    def decide(self, state: State, now: int) -> Session | Refusal:
        """Renew the lease with the length now in force, or say that the session is over."""
        session = state.sessions.get(self.number)
        if session is None or session.secret != self.secret:
            found = find(state, self.number, self.secret)
            return gone(found) if isinstance(found, Ended) else found
        state.beat(session, now, state.limits.lease_ms, self.memory_bytes, self.cpu_seconds)
        if self.process is not None:
            session.process = self.process
        return session


class Heartbeats(Struct, frozen=True):
    """One program says of many bots that they are alive."""

    beats: list[Heartbeat]

    def decide(self, state: State, now: int) -> list[Session | Refusal]:
        """What each heartbeat alone would be answered, in the same order."""
        return [beat.decide(state, now) for beat in self.beats]


@dataclass(frozen=True, slots=True)
class Stop:
    """A bot gives its slot back."""

    number: int
    secret: str
    request_id: str = ""

    def decide(self, state: State, now: int) -> Ended | Refusal:
        """End the session; one that is over already answers with its own end."""
        found = find(state, self.number, self.secret)
        return state.end(found, now, "stopped") if isinstance(found, Session) else found


def reap(state: State, now: int) -> int:
    """End what has run out, each at the instant its lease or its notice did; how many. Every batch begins with it."""
    if state.tickets:
        for ticket in [one for one in state.tickets.values() if one.expires_at <= now]:
            state.set_ticket(ticket.user_id, None)
    expired = state.expired(now)
    for session in expired:
        state.end(session, *state.end_of(session))
    return len(expired)


@dataclass(frozen=True, slots=True)
class Reap:
    """The reaper's request, where no other comes.

    Refusals wait in memory for the next commit, so that a flood of them costs no disk; `Reap` asks for one.
    """

    def decide(self, state: State, now: int) -> int:
        """How many ended."""
        state.changes.flush = bool(state.refused)
        return reap(state, now)


@dataclass(frozen=True, slots=True)
class ReapSuspects(OperatorRequest):
    """An operator ends every session that missed two heartbeats."""

    actor: str
    reason: str

    def decide(self, state: State, now: int) -> list[Ended]:
        """What was ended."""
        ended = [state.end(session, now, "reaped") for session in suspects(state, now)]
        names = [one.session.public_id for one in ended]
        state.audit(AuditEntry(now, self.actor, "reap", f"{len(ended)} sessions", self.reason, {"sessions": names}))
        return ended
