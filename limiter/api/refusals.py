"""Who was refused, and why."""

from typing import Any

from sqlalchemy import Row

from limiter.answers import refusals as s
from limiter.api import paging
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, iso, ok
from limiter.rules.refusals import REASONS, Refusal
from limiter.rules.sessions import Reap
from limiter.store import read


def refusal_row(row: Row[Any]) -> s.RefusalRow:
    """A refusal with the facts of its instant."""
    found = row._mapping  # `count` is a method of the row itself
    return s.RefusalRow(
        row.request_id, str(iso(row.at)), row.user_id, row.bot_id, row.reason, row.limit_name, row.value,
        row.version, found["count"], row.repeats,
    )  # fmt: skip


async def refusals(call: Call) -> Answer:
    """Refusals, newest first, a page at a time."""
    reason = call.wanted_choice("reason", tuple(REASONS))
    before, size = paging.asked(call)
    filters = {"user_id": call.wanted_name("user_id"), "reason": reason, "since": call.wanted_instant("since")}
    await call.decide(Reap())
    rows = await call.read(read.refusals.refusals, **filters, before=before, limit=size + 1)
    more = str(rows[size - 1].id) if len(rows) > size else None
    return ok(s.RefusalsAnswer([refusal_row(row) for row in rows[:size]], more))


async def refusal(call: Call) -> Answer:
    """Why one request was refused."""
    request_id = call.name("request_id")
    await call.decide(Reap())
    row = await call.read(read.refusals.refusal, request_id)
    if row is None:
        raise Refused(Refusal("not_found"))
    return ok(s.RefusalAnswer(refusal_row(row)))
