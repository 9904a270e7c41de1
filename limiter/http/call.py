"""One request as a handler sees it, and the services it may use."""

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Engine

from limiter.access import ANONYMOUS, Access, Actor
from limiter.committer import Committer, Request
from limiter.config import Config
from limiter.http.protocol import HttpRequest
from limiter.http.wire import Answer, identifier, instant
from limiter.jobs import Job
from limiter.jobs.audit_watch import AuditWatch
from limiter.jobs.backups import Backups
from limiter.jobs.file_watch import FileWatch
from limiter.jobs.integrity import Integrity
from limiter.jobs.sampler import Sampler
from limiter.jobs.strangers import StrangerWatch
from limiter.rules.capacity import Box
from limiter.rules.operating import OperatorRequest
from limiter.rules.refusals import Refusal, invalid
from limiter.rules.strangers import Reports
from limiter.store.engine import reading

T = TypeVar("T")
NOTHING: Mapping[str, str] = MappingProxyType({})


class Refused(Exception):
    """Carries a refusal out of a handler."""

    def __init__(self, refusal: Refusal, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.headers = headers


def good(value: T | Refusal) -> T:
    """The value, or out with the refusal."""
    if isinstance(value, Refusal):
        raise Refused(value)
    return value


@dataclass(slots=True)
class Services:
    """What the limiter is made of; one for the process. `reads` are the threads that query beside the event loop."""

    config: Config
    committer: Committer
    access: Access
    sampler: Sampler
    jobs: tuple[Job, ...]
    engine: Engine
    reads: ThreadPoolExecutor
    box: Box
    started_at: float
    version: str
    backups: Backups | None = None
    strangers: StrangerWatch | None = None
    file: FileWatch | None = None
    integrity: Integrity | None = None
    audit: AuditWatch | None = None
    reports: Reports = field(default_factory=Reports)
    in_flight: int = 0
    kept: dict[str, tuple[int, Any]] = field(default_factory=dict)


class Call(Struct):
    """One request: who asks, from where, for what."""

    services: Services
    http: HttpRequest
    request_id: str
    language: str
    path: Mapping[str, str] = NOTHING
    query: Mapping[str, str] = NOTHING
    actor: Actor = ANONYMOUS
    body: Any = None

    def now(self) -> int:
        """UTC milliseconds of the limiter's clock."""
        return self.services.committer.clock.now()

    async def decide(self, request: OperatorRequest) -> Any:
        """What the operator's request is answered, durable; a refusal ends the handler."""
        asked = replace(request, request_id=self.request_id)
        return good(await self.services.committer.submit(asked))

    async def read(self, query: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """What a read query finds, in a thread beside the event loop."""

        def run() -> T:
            with reading(self.services.engine) as connection:
                return query(connection, *arguments, **options)

        return await asyncio.get_running_loop().run_in_executor(self.services.reads, run)

    async def work(self, rule: Callable[..., T], *arguments: Any) -> T:
        """What a rule that takes its time gives, in the same threads."""
        return await asyncio.get_running_loop().run_in_executor(self.services.reads, partial(rule, *arguments))

    async def kept(self, key: tuple[str, int], query: Callable[[Any], T]) -> T:
        """What a read query found when it was last run for this key; only the newest key of a name is kept."""
        name, version = key
        held = self.services.kept.get(name)
        if held is None or held[0] != version:
            held = self.services.kept[name] = version, await self.read(query)
        found: T = held[1]
        return found

    def name(self, field: str) -> str:
        """An identifier of the path."""
        return good(identifier(field, self.path[field]))

    def wanted_name(self, field: str) -> str | None:
        """An identifier of the query, where it is there."""
        value = self.query.get(field)
        return None if value is None else good(identifier(field, value))

    def wanted_choice(self, field: str, choices: tuple[str, ...]) -> str | None:
        """One of some words, where it is there."""
        value = self.query.get(field)
        if value is not None and value not in choices:
            raise Refused(invalid(field, f"must be one of {', '.join(choices)}", f"attendu : {', '.join(choices)}"))
        return value

    def wanted_instant(self, field: str) -> int | None:
        """An instant of the query, where it is there."""
        value = self.query.get(field)
        return None if value is None else good(instant(field, value))

    def wanted_share(self, field: str, default: float) -> float:
        """A share of the query above 0 and below 1, else the default."""
        value = self.query.get(field)
        if value is None:
            return default
        if not re.fullmatch(r"0?\.\d{1,9}", value, re.ASCII) or not float(value):
            raise Refused(invalid(field, "must be above 0 and below 1, as 0.01", "entre 0 et 1, comme 0.01"))
        return float(value)

    def wanted_number(self, field: str, low: int, high: int) -> int | None:
        """A whole number of the query, where it is there."""
        value = self.query.get(field)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 18 and low <= int(value) <= high):
            raise Refused(
                invalid(field, f"must be a whole number from {low} to {high}", f"entier attendu de {low} à {high}")
            )
        return int(value)


class Ask(Struct):
    """What a handler asks of the committer, and how what that says is told; a refusal is told by the application.

    It spares what a coroutine costs, a task and its wake-ups, where there is nothing else to wait for.
    """

    request: Request
    tell: Callable[[Call, Any], Answer]
