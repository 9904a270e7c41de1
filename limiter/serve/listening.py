"""The sockets that the limiter listens on, and the server on them."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket

import uvicorn

from limiter.committer import Committer
from limiter.config import ConfigError
from limiter.http.protocol import HttpConnection
from limiter.http.server import App

DRAIN_SECONDS = 8  # for what is in flight at SIGTERM; the exit follows within 10 s
BACKLOG = 2048


def addresses(host: str) -> list[str]:
    """The addresses of a host, IPv4 first; of `localhost` both, whatever the machine's list of hosts has.

    Raises ConfigError where the name has none.
    """
    if host == "localhost":
        return ["127.0.0.1", "::1"]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            fr=f"LIMITER_HOST : {host} n'a pas d'adresse ({error})", en=f"LIMITER_HOST: {host} has no address ({error})"
        ) from error
    return sorted({str(address[0]) for *_, address in found}, key=lambda address: ":" in address)


def listen(addresses: list[str], port: int) -> list[socket.socket]:
    """A listening socket an address, all on one port, or ConfigError with what is wrong.

    `::` takes IPv4 too. Of several addresses one may be missing, as ::1 is where there is no IPv6.
    """
    sockets: list[socket.socket] = []
    wrong: list[OSError] = []
    for address in addresses:
        try:
            sockets.append(_listen_on(address, sockets[0].getsockname()[1] if sockets else port))
        except OSError as error:
            wrong.append(error)
    if sockets and all(error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) for error in wrong):
        return sockets
    for one in sockets:
        one.close()
    raise ConfigError(
        fr=f"LIMITER_HOST, LIMITER_PORT : impossible d'écouter sur {addresses[0]} port {port} ({wrong[-1]})",
        en=f"LIMITER_HOST, LIMITER_PORT: cannot listen on {addresses[0]} port {port} ({wrong[-1]})",
    )


def _listen_on(address: str, port: int) -> socket.socket:
    family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(place, family=family, backlog=BACKLOG, dualstack_ipv6=address == "::")


def server(app: App) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=HttpConnection,
        ws="none",
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = uvicorn.Server(config)
    # uvicorn raises the signal again after the shutdown, which would end the process with its number and not with 0.
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]
    return server


def stop_on_signals(server: uvicorn.Server, committer: Committer) -> None:
    def stop() -> None:
        committer.state.draining = True
        server.should_exit = True

    committer.on_fault = stop
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
