"""A line of the log for whatever was decided: starts, ends, refusals, crossings, changes. Their names are constant.

Promises: what is written is durable, or was refused; the line of a start, a refusal and a stop has the request id that
the caller was told. Of a flood of refusals, the first of each second are written one by one, the rest of it joined in
one line that counts them. docs/operating.md lists the events. The lines of a batch are one write, made by hand: the
logging module would cost a start a third of its time.
"""

import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, TextIO

from msgspec.json import encode

from limiter.rules.records import Changes, RefusalRecord, Session
from limiter.rules.sessions import Admission, Stop

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
        """The lines of one batch of this instant (UTC ms), which is durable: requests with answers, and refusals."""
        lines, starts, asked = self._joined_lines(now), list[str](), dict[int, str]()
        told: dict[str, Any]
        for request, answer in zip(requests, answers, strict=True):
            if type(answer) is Session:  # a heartbeat's
                continue
            if type(answer) is Admission:
                if answer.created:
                    starts.append(self._start(request.request_id, answer.session))
                else:
                    told = {"request_id": request.request_id, "session": answer.session.public_id}
                    lines.append(("start_repeated", told))
            elif type(request) is Stop:
                asked[request.number] = request.request_id
        for over in changes.ended:
            session = over.session
            told = {"request_id": asked.get(session.number), "session": session.public_id, "user": session.user_id}
            lasted = (over.at - session.started_at) // 1000
            lines.append(("end", told | {"bot": session.bot_id, "reason": over.reason, "seconds": lasted}))
        lines += self._refusals(refused)
        lines += self._changes(changes, now)
        if lines or starts:
            self._print(starts, lines)

    def _changes(self, changes: Changes, now: int) -> list[Event]:
        """Of incidents, limits, and what persons did."""
        lines: list[Event] = []
        for incident in changes.incidents.values():
            crossing, of = incident.crossings[-1], {"incident": incident.number, "kind": incident.kind}
            if incident.resolved_at == now:
                lines.append(("alert_over", of | {"peak": incident.peak, "limit": incident.peak_limit}))
            elif crossing.at == now:
                lines.append(("alert", of | {"level": crossing.level, "bots": crossing.bots, "limit": crossing.limit}))
        for version in changes.versions:
            moved = ",".join(f"{name}:{_text(before)}>{_text(after)}" for name, before, after in version.changed)
            told = {"version": version.version, "by": version.actor, "kind": version.kind, "user": version.user_id}
            lines.append(("limits_changed", told | {"changed": moved or None}))
        for entry in changes.audit:
            lines.append(("change", {"action": entry.action, "by": entry.actor, "target": entry.target}))
        return lines

    def undecided(self, request_id: str, path: str, reason: str, now: int) -> None:
        """The line of a request that was refused before a rule saw it: the database is away, too many at once."""
        lines = self._joined_lines(now)
        self._refused += 1
        if self._refused > SINGLE_REFUSALS:
            self._joined[reason] += 1
        else:
            lines.append(("refused", {"request_id": request_id, "path": path, "reason": reason}))
        if lines:
            self._print([], lines)

    def _refusals(self, refused: Sequence[RefusalRecord]) -> list[Event]:
        lines: list[Event] = []
        for one in refused:
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

    def _print(self, starts: list[str], lines: list[Event]) -> None:
        stamp = time.time()
        if self.form == "json":
            before = encode({"at": _at(stamp), "level": "info"}).decode()[:-1] + ","
            texts = starts + [encode({"event": name} | _there(told)).decode()[1:] for name, told in lines]
        else:
            before = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(stamp))},{int(stamp % 1 * 1000):03d} INFO"
            texts = starts + [
                f" {name} " + " ".join(f"{key}={_text(value)}" for key, value in _there(told).items())
                for name, told in lines
            ]
        stream = self.stream or sys.stderr
        stream.write(before + f"\n{before}".join(texts) + "\n")
        stream.flush()


def _there(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if value is not None}


def _text(value: Any) -> str:
    """In one word: a space would end it, a quote hide where."""
    if type(value) is int:
        return str(value)
    text = "none" if value is None else str(value)
    return json.dumps(text, ensure_ascii=False) if PARTED.search(text) else text


def _at(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"
