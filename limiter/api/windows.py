"""Peak windows over HTTP."""

from datetime import time
from typing import cast

from limiter.answers import windows as s
from limiter.api.limits import accept, opened
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, ok
from limiter.rules.peaks import SetWindows
from limiter.rules.refusals import invalid
from limiter.rules.schedule import DAYS, MAX, PeakWindow, Schedule


def _answer(call: Call, schedule: Schedule) -> Answer:
    rows = [
        s.Window(cast("list[s.Day]", list(one.days)), f"{one.begins:%H:%M}", f"{one.ends:%H:%M}", one.max_bots)
        for one in schedule.windows
    ]
    now_open = opened(call.services.committer.state, call.language)
    return ok(s.WindowsAnswer(rows, str(call.services.config.timezone), now_open, schedule.version))


async def windows(call: Call) -> Answer:
    """The windows, in the order in which they are looked at, and the one that is open."""
    return _answer(call, call.services.committer.state.schedule)


async def set_windows(call: Call) -> Answer:
    """Windows in place of those before."""
    body: s.WindowsBody = call.body
    kept = []
    for number, wanted in enumerate(body.windows):
        field = f"windows[{number}]"
        if wanted.max_bots is None:
            raise Refused(invalid(f"{field}.MAX_CONCURRENT_BOTS", "must be a number", "nombre attendu", 400))
        if len(set(wanted.days)) < len(wanted.days):
            raise Refused(invalid(f"{field}.days", "a day stands there twice", "un jour y est deux fois"))
        value = accept({MAX: wanted.max_bots}, (MAX,), field)[MAX]
        assert isinstance(value, int)
        days = tuple(sorted(wanted.days, key=DAYS.index))
        kept.append(PeakWindow(days, time.fromisoformat(wanted.begins), time.fromisoformat(wanted.ends), value))
    return _answer(call, await call.decide(SetWindows(tuple(kept), body.reason, call.actor.name, body.version)))


async def clear_windows(call: Call) -> Answer:
    """No windows any more; an open one ends."""
    reason, version = ("", None) if call.body is None else (call.body.reason, call.body.version)
    return _answer(call, await call.decide(SetWindows((), reason, call.actor.name, version)))
