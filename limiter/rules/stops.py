"""Sessions that an operator ends: at once, or in so many seconds, which the bots are told and which can be taken back.

A stop that was announced ends its session at its instant, lease or not (`rules.sessions.reap`); a heartbeat renews the
lease until then. It is of that session: a new start of the same bot has none.
"""

from dataclasses import dataclass
from typing import Any

from limiter.rules.operating import OperatorRequest
from limiter.rules.records import AuditEntry, Drain, Ended, Notice, Session
from limiter.rules.refusals import Refusal
from limiter.rules.state import State
from limiter.units import SECOND_MS

Chosen = tuple[int, ...] | str
"""Sessions by their numbers, or all that hold a slot of this user."""


def _chosen(state: State, chosen: Chosen) -> list[Session | Ended] | Refusal:
    """What was chosen, each once and in order; where one was never known, none."""
    if isinstance(chosen, str):
        return [session for session in state.sessions.values() if session.user_id == chosen]
    found: list[Session | Ended] = []
    for number in dict.fromkeys(chosen):
        one = state.sessions.get(number) or state.ended.get(number)
        if one is None:
            return Refusal("session_unknown")
        found.append(one)
    return found


def _audit(
    state: State, now: int, who: "StopByAdmin | TakeStopBack", action: str, moved: list[Session], at: int | None = None
) -> None:
    """One entry for all, where there is any."""
    if not moved:
        return
    detail: dict[str, Any] = {} if at is None else {"at": at}
    if isinstance(who.chosen, str) or len(who.chosen) > 1:
        target = who.chosen if isinstance(who.chosen, str) else f"{len(moved)} sessions"
        detail |= {"sessions": [session.public_id for session in moved]}
    else:
        target = moved[0].public_id
        detail |= {"user_id": moved[0].user_id, "bot_id": moved[0].bot_id}
    state.audit(AuditEntry(now, who.actor, action, target, who.reason, detail))


@dataclass(frozen=True, slots=True)
class StopByAdmin(OperatorRequest):
    """An operator ends sessions, at once or in `in_seconds`."""

    chosen: Chosen
    actor: str
    reason: str
    in_seconds: int = 0

    def decide(self, state: State, now: int) -> list[Session | Ended] | Refusal:
        """Each as it is now; what is over already with its own end. All or nothing where one was never known."""
        found = _chosen(state, self.chosen)
        if isinstance(found, Refusal):
            return found
        living = [one for one in found if isinstance(one, Session)]
        if self.in_seconds:
            at = now + self.in_seconds * SECOND_MS
            for session in living:
                state.announce(session, Notice(at, self.reason))
            _audit(state, now, self, "stop", living, at)
            return found
        _audit(state, now, self, "stop", living)
        return [state.end(one, now, "admin_stop") if isinstance(one, Session) else one for one in found]


@dataclass(frozen=True, slots=True)
class TakeStopBack(OperatorRequest):
    """An operator takes back stops that were announced."""

    chosen: Chosen
    actor: str
    reason: str

    def decide(self, state: State, now: int) -> list[Session | Ended] | Refusal:
        """Each as it is now; what nobody announced, or is over, as it was."""
        found = _chosen(state, self.chosen)
        if isinstance(found, Refusal):
            return found
        announced = [one for one in found if isinstance(one, Session) and one.notice is not None]
        for session in announced:
            state.announce(session, None)
        _audit(state, now, self, "stop_back", announced)
        return found


@dataclass(frozen=True, slots=True)
class StartDrain(OperatorRequest):
    """An operator empties the limiter: no start from now on; who is left in `in_seconds` is ended, None: nobody is."""

    actor: str
    reason: str
    in_seconds: int | None = None

    def decide(self, state: State, now: int) -> Drain:
        """The drain; one that goes on already keeps its beginning."""
        at = None if self.in_seconds is None else now + self.in_seconds * SECOND_MS
        drain = Drain(now if state.drain is None else state.drain.since, at, self.reason)
        state.set_drain(drain)
        detail = {} if at is None else {"at": at}
        state.audit(AuditEntry(now, self.actor, "drain", "starts", self.reason, detail))
        return drain


@dataclass(frozen=True, slots=True)
class TakeDrainBack(OperatorRequest):
    """An operator opens the door again; who has not been ended goes on."""

    actor: str
    reason: str

    def decide(self, state: State, now: int) -> None:
        """Nothing where there is no drain."""
        if state.drain is not None:
            state.set_drain(None)
            state.audit(AuditEntry(now, self.actor, "drain_back", "starts", self.reason, {}))
