"""The application: request id, host, route, key, body, handler, answer. One path for every request.

Order of refusals: host, path, method, key, content type, size, body, then what depends on state.
"""

import asyncio
import contextlib
import itertools
import logging
import re
import secrets
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import compile_path

from limiter.api import bots
from limiter.api.routes import ROUTES, Route
from limiter.hosts import HostNames, web_address
from limiter.http.call import Ask, Call, Refused, Services, good
from limiter.http.protocol import MAX_BODY, HttpRequest, Reply
from limiter.http.wire import Answer, identifier, language_of, problem
from limiter.rules.refusals import Refusal, invalid
from limiter.rules.undecided import REASONS as UNDECIDED

MAX_IN_FLIGHT = 2048  # requests under way; more are refused as `overloaded`
CHECKED = frozenset({"/livez", "/readyz", "/api/admin/health"})

_STRANGE_HOST = invalid(
    "Host",
    "is not a name of this server (LIMITER_ALLOWED_HOSTS)",
    "n'est pas un nom de ce serveur (LIMITER_ALLOWED_HOSTS)",
    400,
)
_NOT_JSON = invalid("Content-Type", "must be application/json", "application/json attendu", 415)
_COMPRESSED = invalid("Content-Encoding", "must be left out: bodies are plain", "à omettre : corps non compressé", 415)
_TOO_LARGE = invalid("body", f"is over {MAX_BODY // 1024} KiB", f"dépasse {MAX_BODY // 1024} Kio", 413)

log = logging.getLogger("limiter")


class App:
    """The limiter over HTTP."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.language: str = services.config.lang
        host, port = services.config.host, services.config.port
        self.hosts = HostNames(host, services.config.allowed_hosts)
        usual = (web_address(name, port) for name in ("127.0.0.1", "localhost", "::1", host))
        self.usual_hosts = {name.removeprefix("http://").encode() for name in usual}
        self.prefix, self.requests = secrets.token_hex(6), itertools.count(1)  # of ids that are made here
        self.tasks: set[asyncio.Task[Answer]] = set()  # the loop alone would not keep them alive
        self.fixed: dict[str, dict[str, Route]] = {}
        patterns: dict[str, dict[str, Route]] = {}
        for route in ROUTES:
            table = patterns if "{" in route.path else self.fixed
            table.setdefault(route.path, {})[route.method] = route
        # An identifier may hold a slash, which a path carries as %2F and the protocol hands over decoded.
        # It may not hold a line break, which is for the check of identifiers to say: `.` has to match it.
        self.patterns = [
            (re.compile(compile_path(path.replace("}", ":path}"))[0].pattern, re.DOTALL), routes)
            for path, routes in patterns.items()
        ]

    def __call__(self, http: HttpRequest, reply: Reply) -> None:
        """Answer one request."""
        accepts = http.headers.get(b"accept-language")
        language = language_of(accepts.decode("latin-1"), self.language) if accepts else self.language
        call = Call(self.services, http, self._request_id(http.headers.get(b"x-request-id")), language)
        self.services.in_flight += 1
        try:
            handled = self._handle(call)
        except Exception as error:
            self._reply(call, reply, error)
            return
        if isinstance(handled, Ask):
            future = self.services.committer.submit(handled.request)
            future.add_done_callback(partial(self._finish, call, reply, handled.tell))
        else:
            task = asyncio.get_running_loop().create_task(handled)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            task.add_done_callback(partial(self._finish, call, reply, _as_it_is))

    def refuse(self, refusal: Refusal, reply: Reply) -> None:
        """Answer what never became a request."""
        request_id = self._request_id(None)
        reply(problem(refusal, request_id, self.language), request_id)

    def _finish(self, call: Call, reply: Reply, tell: Callable[[Call, Any], Answer], done: asyncio.Future[Any]) -> None:
        if done.cancelled():  # the process ends
            return
        try:
            found = done.result()  # a refusal is told as it is: to raise it would cost as much as to decide it
            answer: Answer | Exception = self._problem(found, call) if isinstance(found, Refusal) else tell(call, found)
        except Exception as error:
            answer = error
        self._reply(call, reply, answer)

    def _reply(self, call: Call, reply: Reply, answer: Answer | Exception) -> None:
        if isinstance(answer, Refused):
            refused, answer = answer, self._problem(answer.refusal, call)
            answer.headers += refused.headers
        elif isinstance(answer, Exception):
            log.error("request_failed request_id=%s path=%s", call.request_id, call.http.path, exc_info=answer)
            answer = problem(Refusal("storage_unavailable", {}, 5), call.request_id, call.language)
        self.services.in_flight -= 1
        reply(answer, call.request_id)

    def _problem(self, refusal: Refusal, call: Call) -> Answer:
        if refusal.reason in UNDECIDED:
            _log_refusal(call, refusal)
            if call.http.path in bots.ASKED:
                self.services.committer.undecided.add(bots.undecided(call, refusal.reason))
        return problem(refusal, call.request_id, call.language)

    def _handle(self, call: Call) -> Ask | Coroutine[Any, Any, Answer]:
        services, http = self.services, call.http
        headers = http.headers
        host = headers.get(b"host")
        if host not in self.usual_hosts and not self._knows_host(host, http):
            raise Refused(_STRANGE_HOST)
        routes = self.fixed.get(http.path)
        if routes is None:
            routes, call.path = self._find(http.path)
        route = routes.get(http.method) or self._read_instead(routes, http)
        if route is None:
            allowed = ", ".join(sorted({*routes, *(["HEAD"] if "GET" in routes else [])}))
            raise Refused(Refusal("method_not_allowed"), ((b"allow", allowed.encode()),))
        if route.scope is not None:
            sent = headers.get(b"authorization")
            key = None if sent is None else sent.decode("latin-1")
            who = services.access.check(key, route.scope, http.address, call.request_id)
            if isinstance(who, Refusal):
                raise Refused(who)
            call.actor = who
            if services.in_flight > MAX_IN_FLIGHT:
                raise Refused(Refusal("overloaded", {}, 2))
        if route.reader is not None and (route.needs_body or http.body != b""):
            kind = headers.get(b"content-type", b"")
            if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
                raise Refused(_NOT_JSON)
            coding = headers.get(b"content-encoding")
            if coding is not None and coding.lower() != b"identity":
                raise Refused(_COMPRESSED, ((b"accept-encoding", b"identity"),))
            if http.body is None:
                raise Refused(_TOO_LARGE)
            call.body = good(route.reader.decode(http.body))
        if route.query and http.query:
            call.query = dict(parse_qsl(http.query.decode("latin-1"), keep_blank_values=True))
        handled = route.handler(call)
        return _logged(call, handled) if route.scope == "admin:write" and not isinstance(handled, Ask) else handled

    def _request_id(self, given: bytes | None) -> str:
        """The caller's, where it fits the grammar; else a new one."""
        if given:
            text = identifier("X-Request-ID", given.decode("latin-1"))
            if not isinstance(text, Refusal):
                return text
        return f"{self.prefix}{next(self.requests):x}"

    def _find(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        for pattern, found in self.patterns:
            if match := pattern.fullmatch(path):
                return found, match.groupdict()
        raise Refused(Refusal("not_found"))

    @staticmethod
    def _read_instead(routes: dict[str, Route], http: HttpRequest) -> Route | None:
        """GET's route for HEAD, and for the OPTIONS of HAProxy's `option httpchk PATH`, for which 405 would be down."""
        reads = http.method == "HEAD" or (http.method == "OPTIONS" and http.path in CHECKED)
        return routes.get("GET") if reads else None

    def _knows_host(self, header: bytes | None, http: HttpRequest) -> bool:
        """Whether a request may carry that host; checks by HTTP/1.0 (HAProxy, Nagios) send none."""
        if header is None:
            return http.old and http.path in CHECKED
        return self.hosts.know(header.decode("latin-1"))


def _as_it_is(_: Call, answer: Answer) -> Answer:
    return answer


def _log_refusal(call: Call, refusal: Refusal) -> None:
    """A line for a refusal that no rule of the bots decided; of a flood one that counts it."""
    events = call.services.committer.events
    if events is not None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads stderr any more, or its disk is full
            events.refused_elsewhere(call.request_id, call.http.path, refusal.reason, call.now())


async def _logged(call: Call, handled: Coroutine[Any, Any, Answer]) -> Answer:
    """A line for what a person changed, or was refused to change."""
    try:
        answer = await handled
    except Refused as refused:
        if refused.refusal.reason not in UNDECIDED:
            _log_refusal(call, refused.refusal)
        raise
    log.info(
        "admin request_id=%s key=%s method=%s path=%s",
        call.request_id, call.actor.name, call.http.method, call.http.path,
    )  # fmt: skip
    return answer
