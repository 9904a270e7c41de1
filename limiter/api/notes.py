"""Notes of operators, and the audit: who did what."""

import secrets

from limiter.answers import notes as s
from limiter.api import paging
from limiter.http.call import Call, good
from limiter.http.wire import Answer, instant, iso, ok
from limiter.rules import reasons
from limiter.rules.changes import Write
from limiter.store import read


async def notes(call: Call) -> Answer:
    """Notes, newest first."""
    rows = await call.read(read.audit.notes, call.wanted_instant("from"), call.wanted_instant("to"))
    found = [s.Note(row.id, str(iso(row.at)), row.text, row.author, str(iso(row.created_at))) for row in rows]
    return ok(s.NotesAnswer(found))


async def add_note(call: Call) -> Answer:
    """Write a note about now or another instant."""
    body: s.NoteBody = call.body
    now = call.now()
    at = now if body.at is None else good(instant("at", body.at))
    row = {"id": f"n{secrets.token_hex(6)}", "at": at, "text": body.text, "author": call.actor.name, "created_at": now}
    await call.decide(Write("notes", row, call.actor.name, "note", str(row["id"])))
    note = s.Note(str(row["id"]), str(iso(at)), body.text, call.actor.name, str(iso(now)))
    return ok(s.NoteAnswer(note), 201)


async def audit(call: Call) -> Answer:
    """What persons did, newest first."""
    before, size = paging.asked(call)
    rows = await call.read(read.audit.entries, before, size + 1)
    items = []
    for row in rows[:size]:
        why = reasons.of_audit(row, call.language)
        items.append(
            s.AuditRow(row["id"], str(iso(row["at"])), row["actor"], row["action"], row["target"], why, row["detail"])
        )
    return ok(s.AuditAnswer(items, str(items[-1].id) if len(rows) > size else None))
