"""A line of the log for whatever was decided: starts, ends, refusals, crossings, changes. Their names are constant.

Promises: what is written is durable, or was refused; every line that a request caused has the request id that its
caller was told. Of a flood of refusals, the first of each second are written one by one, the rest of it joined in
one line that counts them. docs/operating.md lists the events. The lines of a batch are one write, made by hand: the
logging module would cost a start a third of its time. Those of starts wait for more of them, or for another line: a
batch of one that writes its own pays 12 µs for it. Not promised: those of the last milliseconds before a `kill -9`.
"""

import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TextIO

from msgspec.json import encode

from limiter.rules.records import AuditEntry, Changes, Ended, Incident, RefusalRecord, Session, Version
from limiter.rules.sessions import Admission
from limiter.rules.undecided import REASONS as UNDECIDED

FIELD = re.compile(r" ([a-z_]+)=(\S+)")
PARTED = re.compile(r"[\s\"]")
SINGLE_REFUSALS = 20  # a second

Event = tuple[str, dict[str, Any]]


# What happens most is written in one go; the grammar of identifiers needs no quotes.


def _start_text(request_id: str, of: Session) -> str:
    return (
        f" start request_id={request_id} session=s{of.number} user={of.user_id} bot={of.bot_id}"
        f" active={of.facts.active} version={of.facts.version}"
    )


def _start_json(request_id: str, of: Session) -> str:
    return (
        f'"event":"start","request_id":"{request_id}","session":"s{of.number}","user":"{of.user_id}",'
        f'"bot":"{of.bot_id}","active":{of.facts.active},"version":{of.facts.version}}}'
    )


class JsonLines(logging.Formatter):
    """One JSON object a line: `event` is the constant name, each `key=value` a field, `message` the whole line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        message = record.getMessage()
        name = message.split(" ", 1)[0].rstrip(":")
        line = {"at": _at(record.created), "level": record.levelname.lower(), "event": name}
        line |= {key: value for key, value in FIELD.findall(message) if key not in line} | {"message": message}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class EventLog:
    """Writes to the stream that the log goes to, in its form: `text` or `json`."""

    def __init__(self, form: str = "text", stream: TextIO | None = None) -> None:
        self.form, self.stream = form, stream
        self._start = _start_json if form == "json" else _start_text
        self.waiting: list[tuple[str, Session]] = []
        """Starts whose lines are not written yet: request id and session."""
        self._second = 0
        self._refused = 0
        self._joined: Counter[str] = Counter()

    def write(
        self,
        requests: Sequence[Any],
        answers: Sequence[Any],
        changes: Changes,
        refused: Sequence[RefusalRecord],
        now: int,
    ) -> None:
        """The lines of one batch of this instant (UTC ms), which is durable: requests with answers, and refusals.
        Where there are only starts, their lines wait for `flush`."""
        lines = self._joined_lines(now)
        for request, answer in zip(requests, answers, strict=True):
            if type(answer) is Admission:
                if answer.created:
                    self.waiting.append((request.request_id, answer.session))
                else:
                    told = {"request_id": request.request_id, "session": answer.session.public_id}
                    lines.append(("start_repeated", told))
        for cause, what in changes.trace:
            name, facts = _traced(what)
            lines.append((name, {"request_id": request_id_of(cause)} | facts))
        if refused:
            lines += self._refusals(refused)
        if lines:
            self._print(lines)

    def flush(self) -> None:
        """Write the lines that wait."""
        if self.waiting:
            self._print([])

    def refused_elsewhere(self, request_id: str, path: str, reason: str, now: int) -> None:
        """The line of a request whose refusal is no row: the database is away, too many at once; an operator's change
        that a guard or somebody else's change stopped."""
        lines = self._joined_lines(now)
        self._refused += 1
        if self._refused > SINGLE_REFUSALS:
            self._joined[reason] += 1
        else:
            lines.append(("refused", {"request_id": request_id, "path": path, "reason": reason}))
        if lines:
            self._print(lines)

    def _refusals(self, refused: Sequence[RefusalRecord]) -> list[Event]:
        lines: list[Event] = []
        for one in refused:
            if one.reason in UNDECIDED:  # it had its line when it was refused
                continue
            self._refused += 1
            if self._refused > SINGLE_REFUSALS:
                self._joined[one.reason] += 1
                continue
            told = {"request_id": one.request_id, "user": one.user_id, "bot": one.bot_id, "reason": one.reason}
            facts = {"limit": one.limit, "value": one.value, "count": one.count, "version": one.version}
            lines.append(("refused", told | facts))
        return lines

    def _joined_lines(self, now: int) -> list[Event]:
        """What the second before this one had too many of."""
        second = now // 1000
        if second == self._second:
            return []
        joined, self._joined, self._refused, self._second = self._joined, Counter(), 0, second
        return [("refused_more", {"reason": reason, "count": n}) for reason, n in joined.items()]

    def _print(self, lines: list[Event]) -> None:
        stamp = time.time()
        starts, self.waiting = [self._start(*one) for one in self.waiting], []
        if self.form == "json":
            before = f'{{"at":"{_at(stamp)}","level":"info",'
            texts = starts + [encode({"event": name} | _there(told)).decode()[1:] for name, told in lines]
        else:
            before = f"{_local(int(stamp))},{int(stamp % 1 * 1000):03d} INFO"
            texts = starts + [
                f" {name} " + " ".join(f"{key}={_text(value)}" for key, value in _there(told).items())
                for name, told in lines
            ]
        stream = self.stream or sys.stderr
        stream.write(before + f"\n{before}".join(texts) + "\n")
        stream.flush()


def request_id_of(cause: Any) -> str | None:
    """Of the request that caused something; None where nobody sent it: a job's, or none at all."""
    return getattr(cause, "request_id", None) or None


def _traced(what: Ended | Incident | Version | AuditEntry) -> Event:
    """The line of what a decision changed."""
    if isinstance(what, Ended):
        of, lasted = what.session, (what.at - what.session.started_at) // 1000
        whose = {"session": of.public_id, "user": of.user_id, "bot": of.bot_id}
        return "end", whose | {"reason": what.reason, "seconds": lasted}
    if isinstance(what, Incident):
        named = {"incident": what.number, "kind": what.kind}
        if what.resolved_at is not None:
            return "alert_over", named | {"peak": what.peak, "limit": what.peak_limit}
        crossing = what.crossings[-1]
        return "alert", named | {"level": crossing.level, "bots": crossing.bots, "limit": crossing.limit}
    if isinstance(what, Version):
        moved = ",".join(f"{name}:{_text(before)}>{_text(after)}" for name, before, after in what.changed)
        named = {"version": what.version, "by": what.actor, "kind": what.kind, "user": what.user_id}
        return "limits_changed", named | {"changed": moved or None}
    return "change", {"action": what.action, "by": what.actor, "target": what.target}


def _there(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if value is not None}


def _text(value: Any) -> str:
    """In one word: a space would end it, a quote hide where."""
    if type(value) is int:
        return str(value)
    text = "none" if value is None else str(value)
    return json.dumps(text, ensure_ascii=False) if PARTED.search(text) else text


def _at(seconds: float) -> str:
    return f"{_utc(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


# A second has many batches: its text is made once.


@lru_cache(maxsize=2)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(maxsize=2)
def _local(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
