"""What other processes did, or the store says: durable already, so nothing of it is undone or written."""

import heapq

from limiter.rules.records import Notice
from limiter.rules.state import STARTS, State
from limiter.rules.turns import Ticket
from limiter.rules.windows import HOUR_SECONDS, Window


def end(state: State, number: int, at: int, reason: str) -> None:
    """Another process ended the session."""
    session = state.sessions.get(number)
    if session is not None:
        state.release(session)
    if reason != "replaced":
        state.free(at)


def beat(state: State, number: int, at: int, lease_ms: int) -> None:
    """Another process renewed the lease."""
    session = state.sessions.get(number)
    if session is not None:
        state.renew(session, at, lease_ms)


def measure(state: State, number: int, at: int, memory_bytes: int | None, cpu_seconds: float | None) -> None:
    """Another process was told what a bot costs."""
    session = state.sessions.get(number)
    if session is not None:
        session.measure(at, memory_bytes, cpu_seconds)


def use(state: State, number: int, at: int) -> None:
    """Another process saw the session trade, or take signals or tokens."""
    session = state.sessions.get(number)
    if session is not None:
        session.used_at = at


def notice(state: State, number: int, notice: Notice | None) -> None:
    """Another process announced the session's end, or took that back."""
    session = state.sessions.get(number)
    if session is not None:
        session.notice = notice
        heapq.heappush(state.due, (session.ends_at, number))


def count(state: State, figure: str, at: int, n: int) -> None:
    """Another process counted n happenings of the last hour."""
    state.windows.setdefault(("hour", figure), Window(HOUR_SECONDS)).add(at // 1000, n)


def ticket(state: State, user_id: str, ticket: Ticket | None) -> None:
    """Another process gave a place in the queue, or took it back."""
    state.tickets.pop(user_id, None)
    if ticket is not None:
        state.tickets[user_id] = ticket


def starts(state: State, at: int, n: int) -> None:
    """Another process gave n slots away that were free."""
    state.window(*STARTS).add(at // 1000, n)


def course(state: State, at: int) -> None:
    """Another process's batch of this instant is in."""
    state.course.append(state.point(at))
