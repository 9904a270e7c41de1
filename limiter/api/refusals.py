"""Who was refused, and why."""

from limiter.answers import refusals as s
from limiter.api import paging
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, iso, ok
from limiter.rules.records import KeptRefusal
from limiter.rules.refusals import REASONS, Refusal
from limiter.rules.words import Words
from limiter.store import read

NOT_KEPT = Words(
    "Aucun refus n'est gardé sous l'identifiant {asked}. Le journal connaît aussi les demandes admises et ce qui a été "
    "refusé à un opérateur : journalctl -u limiter | grep {asked}",
    "No refusal is kept by the id {asked}. The log also knows what was admitted, and what an operator was refused: "
    "journalctl -u limiter | grep {asked}",
)


def refusal_row(kept: KeptRefusal) -> s.RefusalRow:
    """A refusal with the facts of its instant."""
    one = kept.refusal
    return s.RefusalRow(
        one.request_id, str(iso(one.at)), one.user_id, one.bot_id, one.reason, one.limit, one.value,
        one.version, one.count, kept.repeats,
    )  # fmt: skip


def waiting(call: Call) -> list[KeptRefusal]:
    """The refusals that no commit has written yet: of the last half second, of an outage, and those that no rule has
    decided."""
    committer = call.services.committer
    return committer.writer.waiting([*committer.state.refused, *committer.undecided.waiting(committer.state)])


async def refusals(call: Call) -> Answer:
    """Refusals, newest first, a page at a time."""
    reason = call.wanted_choice("reason", tuple(REASONS))
    before, size = paging.asked(call)
    filters = {"user_id": call.wanted_name("user_id"), "reason": reason, "since": call.wanted_instant("since")}
    rows = await call.read(read.refusals.merged, waiting(call), **filters, before=before, limit=size + 1)
    more = str(rows[size - 1].number) if len(rows) > size else None
    return ok(s.RefusalsAnswer([refusal_row(row) for row in rows[:size]], more))


async def refusal(call: Call) -> Answer:
    """Why one request was refused."""
    return ok(s.RefusalAnswer(refusal_row(await named(call))))


async def named(call: Call) -> KeptRefusal:
    """The refusal that the path names."""
    request_id = call.name("request_id")
    row = await call.read(read.refusals.refusal, waiting(call), request_id)
    if row is None:
        raise Refused(Refusal("not_found", {"asked": request_id}, words=NOT_KEPT))
    return row
