"""What goes over the wire: strict JSON in, JSON and problem+json out. Nothing else parses or serialises.

A body is checked here once; what passes is valid by construction. A missing field or wrong type is 400, a text outside
its grammar or a number out of range 422, each with the field and why.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import structs

from limiter.answers.parts import IDENTIFIER
from limiter.clock import rfc3339
from limiter.rules.refusals import REASONS, Refusal, invalid

_IDENTIFIER = re.compile(IDENTIFIER[:-1] + r"\Z", re.ASCII)
_DECIMAL = re.compile(r"\d{1,20}(\.\d{1,18})?", re.ASCII)
_FIELD = re.compile(r"`\$\.?([^`]*)`|required field `([^`]*)`")
_GRAMMAR = "does not fit the grammar", "n'a pas la forme permise"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

B = TypeVar("B", bound=msgspec.Struct)
_encoder = msgspec.json.Encoder()
encode = _encoder.encode


class Answer(msgspec.Struct):
    """A response: status, body bytes, content type, further headers."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Once:
    """JSON of a value that many answers carry: written out when another object comes, and not for each."""

    def __init__(self) -> None:
        self._of: object = None
        self._json = msgspec.Raw(b"null")

    def __call__(self, of: object) -> Any:
        """Its JSON, for a field of an answer."""
        if of is not self._of:
            self._of, self._json = of, msgspec.Raw(encode(of))
        return self._json


def ok(payload: msgspec.Struct, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """A 2xx answer: `success` first, then the payload's fields."""
    body = encode(payload)
    return Answer(status, b'{"success":true' + (b"," + body[1:] if len(body) > 2 else b"}"), headers=headers)


def problem(refusal: Refusal, request_id: str, language: str) -> Answer:
    """RFC 9457: the sentence for the person, the reason for the program, `Retry-After` where it makes sense."""
    status, before, after, headers = _problem(refusal, language)
    return Answer(status, b"%b%b%b" % (before, request_id.encode(), after), b"application/problem+json", headers)


@lru_cache(maxsize=32)  # a rule that refuses for the same facts gives the same refusal
def _problem(refusal: Refusal, language: str) -> tuple[int, bytes, bytes, tuple[tuple[bytes, bytes], ...]]:
    """Status, the body before and after the request's id, and further headers."""
    reason = REASONS[refusal.reason]
    status = refusal.status or reason.status
    sentence = refusal.sentence(language)
    body = {
        "type": f"urn:limiter:{reason.name}",
        "title": reason.title,
        "status": status,
        "detail": sentence,
        "success": False,
        "error": sentence,
        "reason": reason.name,
        "request_id": "",
    }
    facts = dated(refusal.shown(language))
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-language", language.encode()),)
    if refusal.retry_after_seconds is not None:
        headers += ((b"retry-after", str(refusal.retry_after_seconds).encode()),)
    if status == 401:
        headers += ((b"www-authenticate", b"Bearer"),)
    return status, encode(body)[:-2], b'"' + (b"," + encode(facts)[1:] if facts else b"}"), headers


def dated(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts as JSON has them: what is an instant as its text, also one level down."""
    return {
        name: dated(fact) if isinstance(fact, dict) else iso(fact) if name.endswith("_at") else fact
        for name, fact in facts.items()
    }


class Body(Generic[B]):
    """A type of body, and how it is read: strictly, and where that fails, once more for its bare types.

    msgspec tells the first thing that is wrong; of several, a wrong type comes before a wrong value.
    """

    def __init__(self, kind: type[B]) -> None:
        self.kind = kind
        self._strict = msgspec.json.Decoder(kind)
        self._bare = msgspec.json.Decoder(_bare_struct(kind))

    def decode(self, body: bytes) -> B | Refusal:
        """The body, or the refusal that says which field is wrong and why."""
        try:
            body.decode()  # msgspec does not look into texts that it skips
            return self._strict.decode(body)
        except msgspec.ValidationError as error:
            return self._explain(body, error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            return invalid("body", f"is not valid JSON ({str(error)[:100]})", "n'est pas du JSON valide", 400)

    def _explain(self, body: bytes, error: msgspec.ValidationError) -> Refusal:
        if "missing required field" not in str(error):
            try:
                self._bare.decode(body)
            except msgspec.ValidationError as wrong_type:
                error = wrong_type
        text = str(error)
        found = _FIELD.search(text)
        field = next((group for group in found.groups() if group), "body") if found else "body"
        said = text.split(" - at `", 1)[0]
        if "missing required field" in text:
            return invalid(field, "is missing", "manque", 400)
        if ", got `" in text:
            return invalid(field, f"has the wrong type: {said[0].lower()}{said[1:]}", "n'a pas le bon type", 400)
        if "regex" in text:
            return invalid(field, *_GRAMMAR)
        return invalid(field, f"is out of range: {said[0].lower()}{said[1:]}", "est hors limites")


def _bare(kind: Any) -> Any:
    """The type without its bounds and patterns; what is kept raw is a number or a text."""
    if kind is msgspec.Raw:
        return int | float | str
    origin = get_origin(kind)
    if origin is Annotated:
        return _bare(get_args(kind)[0])
    if origin is Literal:
        return str
    if origin in (Union, UnionType):
        return Union[tuple(_bare(one) for one in get_args(kind))]  # noqa: UP007 - made at run time
    if origin is list:
        return list[_bare(get_args(kind)[0])]  # type: ignore[misc]
    return _bare_struct(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else kind


def _bare_struct(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    fields = [
        (one.encode_name, _bare(one.type)) if one.required else (one.encode_name, _bare(one.type), None)
        for one in structs.fields(kind)
    ]
    return msgspec.defstruct("Bare", fields, kw_only=True)


def identifier(field: str, value: str | int) -> str | Refusal:
    """A name from a path, a query or a header; a JSON integer is taken as text."""
    text = str(value)
    return text if _IDENTIFIER.match(text) else invalid(field, *_GRAMMAR)


def decimal(field: str, raw: msgspec.Raw) -> str | Refusal:
    """A positive decimal, as a JSON number or string, its text kept exactly as written."""
    text = bytes(raw).decode()
    if text.startswith('"'):
        text = msgspec.json.decode(text, type=str)
    elif not re.match(r"-?\d", text):
        return invalid(field, "must be a number or a text", "nombre ou texte attendu", 400)
    if not _DECIMAL.fullmatch(text):
        return invalid(
            field,
            "must be a decimal of at most 20 digits and 18 decimals",
            "décimal attendu (20 chiffres, 18 décimales)",
        )
    return text if text.strip("0.") else invalid(field, "must be above 0", "doit dépasser 0")


@lru_cache(maxsize=256)  # a batch has one instant
def iso(at: int | None) -> str | None:
    """UTC, RFC 3339 with milliseconds and Z."""
    return None if at is None else rfc3339(at)


LAST_INSTANT = 253_402_300_799_999  # the year 9999 ends; what is rounded up past it has no text


def instant(field: str, text: str) -> int | Refusal:
    """UTC milliseconds of an RFC 3339 instant (a zone is required)."""
    try:
        if _INSTANT.fullmatch(text):
            # A `+` of a zone arrives in a query as a space where the caller forgot to escape it.
            at = datetime.fromisoformat(text.upper().replace("Z", "+00:00")).astimezone(UTC)
            return min(round(at.timestamp() * 1000), LAST_INSTANT)
    except (ValueError, OverflowError):
        pass
    return invalid(
        field, "must be an instant such as 2026-11-24T12:00:00Z", "instant attendu, tel 2026-11-24T12:00:00Z"
    )


def language_of(header: str, default: str) -> str:
    """`fr` or `en` from Accept-Language, by weight; else the default."""

    def weighted(parts: Iterable[str]) -> Iterable[tuple[float, str]]:
        for part in parts:
            tag, _, weight = part.partition(";")
            try:
                yield float(weight.strip().removeprefix("q=") or 1), tag.strip().lower()[:2]
            except ValueError:
                continue

    spoken = [(weight, tag) for weight, tag in weighted(header.split(",")[:20]) if tag in ("fr", "en") and weight > 0]
    return max(spoken, key=lambda row: row[0])[1] if spoken else default
