"""What operators wrote down, and what was done by whom."""

from typing import TYPE_CHECKING, Any

from limiter.commands.declaring import argument, command, group, option
from limiter.commands.over_http import over_http
from limiter.commands.text import language, more, table, told
from limiter.rules.reasons import action, target, who

if TYPE_CHECKING:
    from limiter.answers.notes import AuditAnswer, NoteAnswer, NotesAnswer
    from limiter.client import Admin


@group()
def notes() -> None:
    """Notes of operators beside the history."""


def show_notes(answer: "NotesAnswer") -> str:
    rows = [[note.at, who(note.author, language()), note.text] for note in answer.notes]
    return table(["AT", "BY", "TEXT"], rows) if rows else told(fr="Aucune note.", en="No note.")


def show_note(answer: "NoteAnswer") -> str:
    return f"{answer.note.at}  {answer.note.text}"


@notes.command("list")
@option("--from", "start", help="From that instant on, RFC 3339.")
@option("--to", "end", help="Up to that instant.")
@over_http(show_notes)
def notes_list(admin: "Admin", **query: Any) -> "NotesAnswer":
    """The notes of a time."""
    return admin.notes(**query)


@notes.command("add")
@argument("text")
@option("--at", help="The instant that it is about, RFC 3339; else now.")
@over_http(show_note)
def notes_add(admin: "Admin", text: str, at: str | None) -> "NoteAnswer":
    """Write one."""
    return admin.add_note(text, at=at)


def show_audit(answer: "AuditAnswer") -> str:
    rows = [
        [
            row.id,
            row.at,
            who(row.actor, language(), exact=True),
            action(row.action, language()),
            target(row.action, row.target, language()),
            row.reason,
        ]
        for row in answer.items
    ]
    return "\n".join([table(["ID", "AT", "BY", "ACTION", "WHAT", "REASON"], rows), *more(answer.next_cursor)])


@command()
@option("--limit", type=int, help="At most so many; 50 where not given.")
@option("--cursor", help="Go on from there.")
@over_http(show_audit)
def audit(admin: "Admin", **query: Any) -> "AuditAnswer":
    """Who changed what, and why, newest first."""
    return admin.audit(**query)
