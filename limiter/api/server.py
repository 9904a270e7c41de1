"""The ASGI app: request id, host, route, key, body under a cap, handler, answer. One path for every request.

Order of refusals: host, path, method, key, content type, size, body, then what depends on state.
"""

import itertools
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import compile_path

from limiter.access import ANONYMOUS
from limiter.api.call import Call, Refused, Services
from limiter.api.routes import ROUTES, Route
from limiter.api.wire import Answer, identifier, language_of, problem
from limiter.rules.refusals import Refusal, invalid

MAX_BODY = 64 * 1024
MAX_IN_FLIGHT = 2048  # requests under way; more are refused as `overloaded`
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")

_STRANGE_HOST = invalid(
    "Host", "is not a name of this server (LIMITER_ALLOWED_HOSTS)", "n'est pas un nom de ce serveur", 400
)
_NOT_JSON = invalid("Content-Type", "must be application/json", "application/json attendu", 415)
_TOO_LARGE = invalid("body", f"is over {MAX_BODY // 1024} KiB", f"dépasse {MAX_BODY // 1024} Kio", 413)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("limiter")


class Disconnected(Exception):
    """The client left before its request was whole."""


class App:
    """The limiter over HTTP."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.language: str = services.config["LIMITER_LANG"]
        named = (services.config["LIMITER_HOST"], *services.config["LIMITER_ALLOWED_HOSTS"])
        self.hosts = {host.lower() for host in (*LOOPBACK, *named)}
        self.usual_hosts = {f"{host}:{services.config['LIMITER_PORT']}".encode() for host in self.hosts}
        self.prefix, self.requests = secrets.token_hex(6), itertools.count(1)  # of ids that are made here
        self.fixed: dict[str, dict[str, Route]] = {}
        patterns: dict[str, dict[str, Route]] = {}
        for route in ROUTES:
            table = patterns if "{" in route.path else self.fixed
            table.setdefault(route.path, {})[route.method] = route
        # An identifier may hold a slash, which a path carries as %2F and ASGI hands over decoded.
        # It may not hold a line break, which is for the check of identifiers to say: `.` has to match it.
        self.patterns = [
            (re.compile(compile_path(path.replace("}", ":path}"))[0].pattern, re.DOTALL), routes)
            for path, routes in patterns.items()
        ]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            await self.http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def http(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        services = self.services
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id")
        request_id = given.decode("latin-1") if given else ""
        if not request_id or isinstance(identifier("X-Request-ID", request_id), Refusal):
            request_id = f"{self.prefix}{next(self.requests):x}"
        accepts = headers.get(b"accept-language")
        language = language_of(accepts.decode("latin-1"), self.language) if accepts else self.language
        services.in_flight += 1
        try:
            answer = await self._answer(scope, receive, headers, request_id, language)
        except Refused as refused:
            answer = problem(refused.refusal, request_id, language)
        except Disconnected:
            return
        except Exception:
            log.exception("request_failed request_id=%s path=%s", request_id, scope["path"])
            answer = problem(Refusal("storage_unavailable", {}, 5), request_id, language)
        finally:
            services.in_flight -= 1
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-type", answer.content_type),
                    (b"content-length", str(len(answer.body)).encode()),
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    *answer.headers,
                ],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(
        self,
        scope: MutableMapping[str, Any],
        receive: Receive,
        headers: dict[bytes, bytes],
        request_id: str,
        language: str,
    ) -> Answer:
        services = self.services
        host = headers.get(b"host", b"")
        if host not in self.usual_hosts and not self._knows_host(host):
            raise Refused(_STRANGE_HOST)
        routes, path = self._find(scope["path"])
        method: str = scope["method"]
        route = routes.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = ", ".join(sorted({*routes, *(["HEAD"] if "GET" in routes else [])}))
            answer = problem(Refusal("method_not_allowed"), request_id, language)
            answer.headers += ((b"allow", allowed.encode()),)
            return answer
        call = Call(services, method, path, {}, headers, request_id, language, ANONYMOUS)
        if route.scope is not None:
            sent = headers.get(b"authorization")
            address = scope["client"][0] if scope.get("client") else ""
            who = services.access.check(None if sent is None else sent.decode("latin-1"), route.scope, address)
            if isinstance(who, Refusal):
                raise Refused(who)
            call.actor = who
        if services.in_flight > MAX_IN_FLIGHT and route.scope is not None:
            raise Refused(Refusal("overloaded", {}, 2))
        if route.reader is not None and (route.needs_body or headers.get(b"content-length", b"0") != b"0"):
            kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            if kind != b"application/json":
                raise Refused(_NOT_JSON)
            body = route.reader.decode(await _read(headers, receive))
            if isinstance(body, Refusal):
                raise Refused(body)
            call.body = body
        if route.query and scope["query_string"]:
            call.query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        answer = await route.handler(call)
        if (
            route.scope == "admin:write"
        ):  # a refusal is a row in the database, not a line: a flood must not fill the disk
            log.info("admin request_id=%s key=%s method=%s path=%s", request_id, call.actor.name, method, scope["path"])
        return answer

    def _find(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        routes = self.fixed.get(path)
        if routes is not None:
            return routes, {}
        for pattern, found in self.patterns:
            if match := pattern.fullmatch(path):
                return found, match.groupdict()
        raise Refused(Refusal("not_found"))

    def _knows_host(self, header: bytes) -> bool:
        host = header.decode("latin-1").lower()
        if host in self.hosts:
            return True
        name, _, port = host.rpartition(":")
        return name in self.hosts and port.isdigit()


async def _read(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """The body, refused as soon as it is over the cap."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > MAX_BODY:
        raise Refused(_TOO_LARGE)
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > MAX_BODY:
            raise Refused(_TOO_LARGE)
        if not message.get("more_body"):
            return body


async def _lifespan(receive: Receive, send: Send) -> None:
    for done in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
        await receive()
        await send({"type": done})
