"""Whether there is room, and for whom: the questions that a start, the capacity and the queue put to one state."""

from limiter.rules.capacity import Capacity
from limiter.rules.door import Barred, box_busy, too_many_starts
from limiter.rules.state import STARTS, State
from limiter.rules.turns import Free, Ticket, claims


def capacity(state: State, now: int) -> Capacity:
    """Slots taken at `now`: a session counts until its lease or its notice ends it and not after, reaped or not."""
    active, due = len(state.sessions), state.due
    if (due and due[0][0] <= now) or state.drained(now):
        active -= sum(not state.holds(session, now) for session in state.sessions.values())
    most = state.limits.max_bots
    return Capacity(active, most, active < most and _is_open(state, active, now))


def _is_open(state: State, active: int, now: int) -> bool:
    """Whether a new user would be let in, were a slot free."""
    limits = state.limits
    if is_shut(state) or not limits.values["MAX_BOTS_PER_USER"]:
        return False
    if (limits.bars and barred(state, now)) or (limits.reserves and active >= slots_for(state, None, now)):
        return False
    return not state.tickets or turns(state, None, active, now)[1] > 0


def is_shut(state: State) -> bool:
    """Whether nobody is let in, whoever asks."""
    return state.paused or state.draining or state.drain is not None


def barred(state: State, now: int) -> Barred | None:
    """Why no start that needs a slot is admitted now, whatever is free."""
    values, found = state.limits.values, None
    starts, cpu, ram = values["MAX_STARTS_PER_MINUTE"], values["MAX_CPU_PERCENT"], values["MAX_RAM_PERCENT"]
    if starts is not None:
        found = too_many_starts(state.windows.get(STARTS), starts, now // 1000)
    if found is None and (cpu is not None or ram is not None):
        found = box_busy(state.load, cpu, ram, now)
    return found


def slots_for(state: State, user_id: str | None, now: int) -> int:
    """How many slots all together may hold once this user (None: a new one) has started: the reserve's free ones
    are for its own users. May be below 0."""
    limits, most = state.limits, state.limits.max_bots
    if not limits.reserves or (user_id is not None and limits.in_reserve(user_id, now)):
        return most
    return most - kept(state, now)


def kept(state: State, now: int) -> int:
    """Reserved slots that users of the reserve do not hold."""
    limits, reserved = state.limits, state.limits.whole("RESERVED_SLOTS")
    reserve = [user for user in limits.reserve if limits.in_reserve(user, now)]
    if state.drained(now) or (state.due and state.due[0][0] <= now):
        held = sum(one.user_id in reserve and state.holds(one, now) for one in state.sessions.values())
    else:
        held = sum(state.user_active(user) for user in reserve)
    return max(0, reserved - held)


def queue(state: State, now: int) -> list[Ticket]:
    """The tickets that wait, in order."""
    return sorted((one for one in state.tickets.values() if one.expires_at > now), key=lambda one: one.number)


def turns(state: State, user_id: str | None, active: int, now: int) -> tuple[set[str], int]:
    """Of those who wait for the slots that this user (None: a new one) may have: whose turn it is, and how many
    slots are nobody's. While reserved slots are free, the reserve and the others wait apart."""
    limits, ours = state.limits, kept(state, now) if state.limits.reserves else 0
    reserve = user_id is not None and limits.in_reserve(user_id, now)
    slots, tickets = limits.max_bots - active, queue(state, now)
    if ours:
        slots = min(slots, ours) if reserve else slots - ours
        tickets = [one for one in tickets if limits.in_reserve(one.user_id, now) == reserve]
    return claims(tickets, Free(slots, state.freed, min(now, limits.room_made(now))), now)
