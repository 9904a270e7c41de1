"""Who holds a slot, whose lease ran out, who fell silent, what they cost: questions that look at every session of a
state, and change nothing. Pure."""

from limiter.rules.records import Costs, Ended, Session
from limiter.rules.state import State


def holders(state: State, now: int) -> list[Session]:
    """The sessions that hold a slot at `now`, reaped or not."""
    return [one for one in state.sessions.values() if state.holds(one, now)]


def run_out(state: State, now: int) -> list[Ended]:
    """The sessions whose lease or notice has ended them, and which nobody has reaped yet."""
    if not state.drained(now) and (not state.due or state.due[0][0] > now):
        return []
    return [Ended(one, *state.end_of(one)) for one in state.sessions.values() if not state.holds(one, now)]


def known(state: State, now: int) -> list[Session | Ended]:
    """Every session that memory knows: those that hold a slot, those that ran out, and those that the last batch
    ended, of which a reader of the database may not know yet."""
    over = {ended.session.number: ended for ended in (*state.changes.ended, *run_out(state, now))}
    return [*over.values(), *(one for number, one in state.sessions.items() if number not in over)]


def suspects(state: State, now: int) -> list[Session]:
    """The sessions that missed two heartbeats and still hold a slot."""
    if state.drained(now):
        return []
    return [session for session in state.sessions.values() if session.suspect(now) and session.ends_at > now]


def costs(state: State, now: int) -> Costs:
    """What the bots that hold a slot and are measured cost together."""
    memory_n, memory_bytes, cpu_n, cpu_percent = 0, 0, 0, 0.0
    for session in () if state.drained(now) else state.sessions.values():
        memory = session.memory_bytes
        load = session.cpu_percent if session.cpu_readings else None
        if (memory is None and load is None) or session.ends_at <= now:
            continue
        if memory is not None:
            memory_n += 1
            memory_bytes += memory
        if load is not None:
            cpu_n += 1
            cpu_percent += load
    return Costs(memory_n, memory_bytes, cpu_n, cpu_percent)
