"""What `run` and the agent say to each other: named texts, eight hexadecimal digits of length before them.

A connection carries one question and its answer; `{"still": …}` comes every few seconds while the answer takes time.
"""

import _socket
import sys

PROTOCOL = 1
"""Raised where an older agent could not understand a newer `run`: it is then asked to make place for a newer one."""
LONGEST = 8 * 1024 * 1024
HEADER = 8

Fields = dict[str, str]


def packed(fields: Fields) -> bytes:
    """The message as bytes. No name or value may hold a NUL."""
    body = "\0".join(f"{name}={value}" for name, value in fields.items()).encode("utf-8", "surrogateescape")
    return b"%08x" % len(body) + body


def unpacked(body: bytes) -> Fields:
    """The named texts of a body. Raises ValueError where it is none."""
    if not body:
        return {}
    parts = (part.partition("=") for part in body.decode("utf-8", "surrogateescape").split("\0"))
    return {name: value for name, _, value in parts}


def length(header: bytes) -> int:
    """How long the body behind it is. Raises ValueError where that is not a length."""
    size = int(header, 16) if len(header) == HEADER else -1
    if not 0 <= size <= LONGEST:
        raise ValueError(f"{header!r} is not the length of a message")
    return size


def receive(connection: _socket.socket) -> Fields | None:
    """The next message; None where the other side has gone. Raises TimeoutError."""
    header = _exactly(connection, HEADER)
    if header is None:
        return None
    body = _exactly(connection, length(header))
    return None if body is None else unpacked(body)


def _exactly(connection: _socket.socket, size: int) -> bytes | None:
    whole = b""
    while len(whole) < size:
        try:
            part = connection.recv(size - len(whole))
        except ConnectionError:
            return None
        if not part:
            return None
        whole += part
    return whole


def peer(connection: _socket.socket) -> tuple[int, int]:
    """Process and user id of the other side, as the kernel knows them; process 0: of another pid namespace."""
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    pid, uid = (int.from_bytes(credentials[at : at + 4], sys.byteorder) for at in (0, 4))
    return pid, uid
