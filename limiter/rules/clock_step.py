"""The wall clock was moved, and this one followed it: what counts a duration moves along."""

import dataclasses
from collections import deque

from msgspec.structs import replace

from limiter.rules.course import GAP, Point
from limiter.rules.records import AuditEntry
from limiter.rules.state import GAPS, State

WENT_BACK, WENT_ON = "clock_back", "clock_on"  # actions in the audit


def shift(state: State, by: int, before: int) -> None:
    """The clock was moved by so many ms, and showed `before`. What means "so long ago" or "in so long" moves with
    it: leases, announced stops, probation, turns, rates. What happened keeps its stamp, and history has a gap or goes
    back; but a session that lives did not start in the future: its stamp goes back along.

    Not undone with a batch that fails: the clock is not either. So `keep` has what is to be written.
    """
    state.course += [state.point(before), Point(before, GAP, GAP)]
    for one in state.sessions.values():
        if one.started_at > before + by:
            one.started_at += by
        one.last_heartbeat_at += by
        one.expires_at += by
        one.measured_at = None if one.measured_at is None else one.measured_at + by
        one.used_at = None if one.used_at is None else one.used_at + by
        one.cpu_readings = tuple((at + by, seconds) for at, seconds in one.cpu_readings)
        if one.notice is not None:
            one.notice = one.notice._replace(at=one.notice.at + by)
    state.beaten.update(state.sessions)
    if state.drain is not None and state.drain.stop_at is not None:
        state.drain = state.drain._replace(stop_at=state.drain.stop_at + by)
    if (trial := state.schedule.probation) is not None:
        trial = dataclasses.replace(trial, ends_at=trial.ends_at + by)
        state.schedule = dataclasses.replace(state.schedule, probation=trial)
    state.limits = dataclasses.replace(state.limits, room_since=state.limits.room_since + by)
    for user, ticket in state.tickets.items():
        state.tickets[user] = replace(ticket, asked_at=ticket.asked_at + by)
    state.freed = deque((at + by for at in state.freed), maxlen=GAPS + 1)
    for window in state.windows.values():
        window.shift(-(-by // 1000))
    state.channels = {
        name: dataclasses.replace(one, tried_at=None if one.tried_at is None else one.tried_at + by)
        for name, one in state.channels.items()
    }
    state.rising = {name: at + by for name, at in state.rising.items()}
    state.last_token_at = None if state.last_token_at is None else state.last_token_at + by
    state.load = None if state.load is None else state.load._replace(at=state.load.at + by)
    state.schedule_ends()
    state.course.append(state.point(before + by))


def keep(state: State, by: int, now: int) -> None:
    """Have this batch write what a step that `shift` followed, to the instant `now`, has moved; the audit keeps the
    step. A batch that fails writes nothing of it: the next one has to."""
    changes = state.changes
    if by < 0:
        changes.restamped |= state.sessions
    changes.notices |= {one.number: one for one in state.sessions.values() if one.notice is not None}
    changes.tickets |= dict.fromkeys(state.tickets, True)
    changes.drain = changes.drain or state.drain is not None
    changes.schedule = changes.schedule or state.schedule.probation is not None
    state.audit(AuditEntry(now, "clock", WENT_BACK if by < 0 else WENT_ON, f"{by / 1000:+.0f} s", "", {"by": by}))
