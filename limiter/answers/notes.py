"""Notes of operators, and what was done by whom."""

from typing import Any

from msgspec import Struct

from limiter.answers.parts import Ok, Reason


class NoteBody(Struct):
    text: Reason
    at: str | None = None


class Note(Struct):
    id: str
    at: str
    text: str
    author: str
    created_at: str


class NotesAnswer(Ok):
    notes: list[Note]


class NoteAnswer(Ok):
    note: Note


class AuditRow(Struct):
    id: int
    at: str
    actor: str
    action: str
    target: str
    reason: str
    detail: dict[str, Any]


class AuditAnswer(Ok):
    items: list[AuditRow]
    next_cursor: str | None
