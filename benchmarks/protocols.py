"""Whether the protocol is worth its keep: `python -m benchmarks.protocols`.

The whole limiter behind three protocols in one run, by turns: its own, and uvicorn's two through ASGI, the least that
going back to them would take. CPU of all threads without sockets, as in benchmarks.cpu; the least of many samples. Not
counted for ours: deadlines for a slow head or body, which uvicorn's have not.
"""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import click
import uvicorn
import uvloop
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from benchmarks import servers
from benchmarks.cpu import SAMPLES, Bodies, Connect, Limiter, ours, starts
from limiter.http.protocol import HttpRequest
from limiter.http.server import App
from limiter.http.wire import Answer
from limiter.serve.collector import settle_memory


def asgi(app: App) -> Any:
    """The limiter as an ASGI application."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        answered: asyncio.Future[tuple[Answer, str]] = asyncio.get_running_loop().create_future()
        request = HttpRequest(
            scope["method"],
            scope["path"],
            scope["query_string"],
            dict(scope["headers"]),
            body,
            "127.0.0.1",
            True,
            False,
        )
        app(request, lambda answer, request_id: answered.set_result((answer, request_id)))
        answer, request_id = await answered
        headers = [
            (b"content-type", answer.content_type), (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"), *answer.headers,
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    return call


def of_uvicorn(protocol: type[H11Protocol] | type[HttpToolsProtocol]) -> Connect:
    """One of uvicorn's, set up as its server sets it up."""

    def connect(app: App, state: ServerState) -> asyncio.Protocol:
        settings = uvicorn.Config(asgi(app), lifespan="off", access_log=False, log_config=None, proxy_headers=False)
        settings.load()
        return protocol(settings, state, {})

    return connect


async def compare(folder: Path, samples: int = SAMPLES) -> dict[str, dict[str, float]]:
    """CPU microseconds of a request: protocol → kind → µs."""
    kinds: dict[str, Connect] = {
        "ours": ours,
        "uvicorn, httptools": of_uvicorn(HttpToolsProtocol),
        "uvicorn, h11": of_uvicorn(H11Protocol),
    }
    made: dict[str, tuple[Limiter, Bodies, Bodies]] = {}
    for name, connect in kinds.items():
        limiter, admitted = Limiter(folder / f"{name}.db", 1_000_000, connect), starts()
        await limiter.request_us(b"/api/bots/start", admitted)
        session = (await _session(limiter)).encode()
        made[name] = limiter, admitted, itertools.repeat(b'{"session_id":"%b"}' % session)
    settle_memory()
    least = {name: {"start": 1e9, "heartbeat": 1e9} for name in kinds}
    for _ in range(samples):
        for name, (limiter, admitted, beats) in made.items():
            for kind, path, bodies in (
                ("start", b"/api/bots/start", admitted),
                ("heartbeat", b"/api/bots/heartbeat", beats),
            ):
                least[name][kind] = min(least[name][kind], await limiter.request_us(path, bodies))
    for limiter, _, _ in made.values():
        await limiter.close()
    return least


async def _session(limiter: Limiter) -> str:
    """The secret of one that runs."""
    return next(session.session_id for session in limiter.committer.state.sessions.values())


@click.command()
def main() -> None:
    """CPU microseconds a request, by protocol."""
    with servers.scratch() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for name, us in runner.run(compare(folder)).items():
            click.echo(f"{us['start']:6.1f} µs a start  {us['heartbeat']:6.1f} µs a heartbeat  {name}")


if __name__ == "__main__":
    main()
