"""Hosts and addresses as people write them: what to listen on, what a Host header may name, where a link leads.

What a setting cannot mean raises ValueError, whose text says what to write instead.
"""

import contextlib
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from limiter.bilingual import Unreadable, in_both

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
_WITH_PORT = re.compile(r"(\[.*\]|[^\[\]:]*):([0-9]{1,5})", re.DOTALL)
_DEFAULT_PORTS = ("80", "443")  # which browsers leave out of the Host header


def canonical(host: str) -> str:
    """One spelling of each host: lower case, no brackets, no dot at the end, IP addresses as short as they go.

    Raises ValueError for what is neither a name nor an address.
    """
    text = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        name = text.lower().removesuffix(".")
    if not name.isascii():
        with contextlib.suppress(UnicodeError):
            name = name.encode("idna").decode()
    if text != host or not _NAME.fullmatch(name):
        raise Unreadable(
            fr=f"{host!r} n'est ni un nom d'hôte ni une adresse", en=f"{host!r} is neither a host name nor an address"
        )
    return name


def is_loopback(host: str) -> bool:
    """Whether only this machine is reached by that canonical name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reachable(host: str) -> str:
    """What a program on this machine connects to where a server listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  it is compared, not bound


def web_address(host: str, port: int) -> str:
    """`http://host:port`, an IPv6 address in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listening_host(text: str) -> str:
    """What to listen on: a name or an address, in brackets or not."""
    if text == "*":
        raise Unreadable(
            fr="doit être une adresse : 0.0.0.0 est toute adresse IPv4, :: toute adresse",
            en="must be an address: 0.0.0.0 is every IPv4 address, :: every address",
        )
    try:
        return canonical(text)
    except ValueError as error:
        fr, en = in_both(error)
        raise Unreadable(
            fr=f"{fr} ; un port va dans le réglage du port", en=f"{en}; a port goes into the setting of the port"
        ) from error


def allowed_hosts(text: str) -> tuple[str, ...]:
    """Further names for Host headers, separated by commas: `name`, `name:port`, `*.name`, `*.name:port`."""
    return tuple(_allowed(part.strip()) for part in text.split(",") if part.strip())


def _allowed(text: str) -> str:
    if "://" in text or "/" in text:
        raise Unreadable(
            fr=f"{text!r} doit être un hôte seul, sans http:// et sans chemin",
            en=f"{text!r} must be a host alone, without http:// and without a path",
        )
    with_port = _WITH_PORT.fullmatch(text)
    host, port = (with_port[1], with_port[2]) if with_port else (text, "")
    if port and int(port) > 65535:
        raise Unreadable(fr=f"{text!r} n'a pas un port de 0 à 65535", en=f"{text!r} has no port from 0 to 65535")
    stars, name = ("*.", host[2:]) if host.startswith("*.") else ("", host)
    try:
        name = canonical(name)
    except ValueError as error:
        raise Unreadable(
            fr=f"{text!r} doit être name, name:port ou *.name", en=f"{text!r} must be name, name:port or *.name"
        ) from error
    if ":" in name:
        name = f"[{name}]"
    return f"{stars}{name}:{port}" if port else f"{stars}{name}"


class HostNames:
    """Which Host headers name this server: loopback, the address it listens on, and what `allowed_hosts` gave."""

    def __init__(self, listening: str, allowed: Iterable[str] = ()) -> None:
        self._names = {(listening, ""), ("localhost", "")}
        self._endings: set[tuple[str, str]] = set()
        for text in allowed:
            host, port = _split(text.removeprefix("*."))
            (self._endings if text.startswith("*.") else self._names).add((host, port))

    def know(self, header: str) -> bool:
        """Whether a request with that Host may be answered."""
        try:
            host, port = _split(header)
        except ValueError:
            return False
        ports = ("", port) if port else ("", *_DEFAULT_PORTS)
        if is_loopback(host) or any((host, one) in self._names for one in ports):
            return True
        return any(host.endswith("." + name) and one in ports for name, one in self._endings)


def _split(header: str) -> tuple[str, str]:
    """Canonical host, and port or nothing."""
    with_port = _WITH_PORT.fullmatch(header)
    return (canonical(with_port[1]), with_port[2]) if with_port else (canonical(header), "")


def web_url(text: str) -> str:
    """An address of the web as it was written, without the slash at its end."""
    _parts(text)
    return text.rstrip("/")


def console_url(text: str) -> str:
    """The public address of the console, which is under /admin whether that is written or not."""
    if not text:
        return ""
    if _parts(text).path.rstrip("/") not in ("", "/admin"):
        raise Unreadable(
            fr="doit finir par /admin ou n'avoir pas de chemin : la console est sous /admin et nulle part ailleurs",
            en="must end with /admin or have no path: the console is under /admin and nowhere else",
        )
    return text.rstrip("/").removesuffix("/admin") + "/admin"


def _parts(text: str) -> SplitResult:
    here, there = "http://127.0.0.1:5001", "https://bots.example.com"
    if not re.match(r"https?://", text, re.IGNORECASE):
        raise Unreadable(
            fr=f"doit commencer par http:// ou https://, comme {here} ou {there}, pas {text[:60]!r}",
            en=f"must begin with http:// or https://, as {here} or {there} does, not {text[:60]!r}",
        )
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
        canonical(f"[{host}]" if host and ":" in host else host or "")
    except ValueError as error:
        raise Unreadable(
            fr=f"n'a pas d'hôte et de port, comme en a {here} ou {there} (IPv6 : http://[::1]:5001)",
            en=f"has no host and port, as {here} or {there} has (IPv6: http://[::1]:5001)",
        ) from error
    if parts.username is not None or parts.query or parts.fragment or re.search(r"\s", text):
        raise Unreadable(
            fr=f"doit être une adresse seule, comme {here} ou {there} : ni utilisateur, ni ?, ni #, ni espaces",
            en=f"must be an address alone, as {here} or {there} is: no user, no ?, no #, no spaces",
        )
    return parts
