"""The limiter's HTTP API from the standard library: kept connections, proxies as urllib has them, no redirects.

Whatever goes wrong is a `Refused` with a sentence for a person, and the exit status that `run` gives for it.
"""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from limiter.agent.words import KEY_REFUSED, REFUSED, UNREADABLE, text
from limiter.calling import A_PROXYS, is_loopback, retry_after

IDLE_SECONDS = 30.0  # of a kept connection; the server closes after 75
KEY = frozenset({"unauthorized", "forbidden", "too_many_attempts"})
LONGEST_ANSWER = 8 * 1024 * 1024

Answer = dict[str, Any]


class Refused(Exception):
    """The limiter said no, or could not be asked. `reason` as in the API, or `out_of_reach`, `not_a_limiter`."""

    def __init__(
        self,
        reason: str,
        http_status: int,
        sentence: str,
        retry_after: float | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.reason, self.http_status, self.retry_after, self.facts = reason, http_status, retry_after, facts or {}

    @property
    def exit_status(self) -> int:
        """75 where trying again may help."""
        if self.reason in KEY:
            return KEY_REFUSED
        return UNREADABLE if self.reason in ("not_a_limiter", "unreadable", "invalid_request") else REFUSED


class Channel:
    """One limiter as one caller sees it: address, key, and how the net is reached. Safe for several threads."""

    def __init__(self, url: str, key: str, network: Mapping[str, str], language: str = "") -> None:
        """Raises Refused, in that language, where one of them cannot be read."""
        self.url, self.key = url, key
        self._language = language
        self._network = dict(network)
        self._idle = list[tuple[float, http.client.HTTPConnection]]()
        self._lock = threading.Lock()
        self._parts = self._read(url)
        self._proxy = self._proxy_of(self._parts)
        self._tls = self._context() if self._parts.scheme == "https" else None
        self._prefix = self._parts.path.rstrip("/")
        if self._proxy is not None and self._tls is None:
            self._prefix = f"http://{self._parts.netloc.rpartition('@')[2]}{self._prefix}"

    def post(self, path: str, body: Answer, *, timeout: float, language: str | None = None, again: str = "") -> Answer:
        """The answer's object. `again`: the Idempotency-Key. All that is asked here may be asked twice. Raises Refused.

        `language`: that of the sentences, None for this process's own.

        Blocks for `timeout` seconds of silence at most, twice where a kept connection had been closed.
        """
        headers = {"Content-Type": "application/json", "User-Agent": "limiter-agent"}
        for name, value in (
            ("Authorization", f"Bearer {self.key}" if self.key else ""),
            ("Accept-Language", language if language and language.isascii() and language.isprintable() else ""),
            ("Idempotency-Key", again),
            ("Proxy-Authorization", self._proxy_login() if self._tls is None else ""),
        ):
            if value:
                headers[name] = value
        content = json.dumps(body, separators=(",", ":")).encode()
        while True:
            connection, kept = self._connection(timeout)
            try:
                connection.request("POST", self._prefix + path, content, headers)
                reply = connection.getresponse()
                said = reply.read(LONGEST_ANSWER)
                break
            except (http.client.RemoteDisconnected, ConnectionError) as error:
                connection.close()
                if not kept:
                    raise self._silent(error, language) from None
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                raise self._silent(error, language) from None
            except ValueError:  # a key that no header can carry
                connection.close()
                told = text(
                    fr="LIMITER_KEY n'est pas une clé : un caractère ne peut pas être envoyé.",
                    en="LIMITER_KEY is no key: it has a character that cannot be sent.",
                    language=language,
                )
                raise Refused("unreadable", 0, told) from None
        if reply.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append((time.monotonic(), connection))
        return self._answer(reply, said, language)

    def close(self) -> None:
        """Close what is kept."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _connection(self, timeout: float) -> tuple[http.client.HTTPConnection, bool]:
        """A connection, and whether it was used before."""
        now = time.monotonic()
        with self._lock:
            old = [connection for used, connection in self._idle if now - used > IDLE_SECONDS]
            self._idle = [(used, connection) for used, connection in self._idle if now - used <= IDLE_SECONDS]
            found = self._idle.pop()[1] if self._idle else None
        for connection in old:
            connection.close()
        if found is not None:
            found.timeout = timeout
            if found.sock is not None:
                found.sock.settimeout(timeout)
            return found, True
        return self._new(timeout), False

    def _new(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._proxy is None:
            if self._tls is None:
                return http.client.HTTPConnection(host, port, timeout=timeout)
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls)
        by, by_port = self._proxy.hostname or "", self._proxy.port
        if self._tls is None:
            return http.client.HTTPConnection(by, by_port or 80, timeout=timeout)
        connection = http.client.HTTPSConnection(by, by_port or 80, timeout=timeout, context=self._tls)
        login = self._proxy_login()
        connection.set_tunnel(host, port or 443, {"Proxy-Authorization": login} if login else {})
        return connection

    def _context(self) -> ssl.SSLContext:
        file, folder = self._network.get("SSL_CERT_FILE"), self._network.get("SSL_CERT_DIR")
        try:
            context = ssl.create_default_context()
            if file or folder:
                context.load_verify_locations(file or None, folder or None)
        except OSError as error:
            raise Refused("unreadable", 0, f"SSL_CERT_FILE: {error.strerror or error} ({file or folder})") from None
        return context

    def _read(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
                parts.hostname.encode("idna")
                return parts
        except ValueError:
            pass
        told = text(
            fr=f"LIMITER_URL : {url!r} n'est pas une adresse.",
            en=f"LIMITER_URL: {url!r} is no address.",
            language=self._language,
        )
        raise Refused("unreadable", 0, told)

    def _proxy_of(self, parts: SplitResult) -> SplitResult | None:
        """What stands between; nothing where the limiter is on this host."""
        host = parts.hostname or ""
        name = next((name for name in (f"{parts.scheme}_proxy", "all_proxy") if self._network.get(name)), "")
        chosen = self._network.get(name, "")
        if not chosen or is_loopback(host):
            return None
        if _is_excepted(host, parts.port, self._network.get("no_proxy", "")):
            return None
        try:
            proxy = urlsplit(chosen if "://" in chosen else f"http://{chosen}")
            if proxy.scheme == "http" and proxy.hostname and proxy.port != 0:
                return proxy
        except ValueError:
            pass
        told = text(  # without its value, which may hold a password
            fr=f"{name} n'est pas l'adresse d'un proxy qui commence par http://",
            en=f"{name} is no address of a proxy that begins with http://",
            language=self._language,
        )
        raise Refused("unreadable", 0, told)

    def _proxy_login(self) -> str:
        if self._proxy is None or self._proxy.username is None:
            return ""
        from base64 import b64encode

        pair = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
        return f"Basic {b64encode(pair.encode()).decode()}"

    def _answer(self, reply: http.client.HTTPResponse, said: bytes, language: str | None) -> Answer:
        try:
            body = json.loads(said)
        except ValueError:
            body = None
        if 200 <= reply.status < 300 and isinstance(body, dict):
            return body
        if not isinstance(body, dict) or "reason" not in body:
            if reply.status in A_PROXYS:
                raise self._silent(f"HTTP {reply.status}", language, retry_after(reply.headers))
            told = text(
                fr=f"Ce qui répond à {self.url} n'est pas le limiteur (HTTP {reply.status}).",
                en=f"What answers at {self.url} is no limiter (HTTP {reply.status}).",
                language=language,
            )
            raise Refused("not_a_limiter", reply.status, told)
        reason = str(body["reason"])
        told = str(body.get("error") or body.get("detail") or reason)
        if reason in KEY:
            told = f"{told} {self._what_to_set(language)}"
        raise Refused(reason, reply.status, told, retry_after(reply.headers), body)

    def _what_to_set(self, language: str | None) -> str:
        make = "limiter keys create --scope bots"
        if self.key:
            return text(
                fr=f"C'est la clé de LIMITER_KEY, dans l'environnement de cette commande ; il en faut une que {make} a "
                "faite sur la machine du limiteur.",
                en=f"It is the key in LIMITER_KEY, in the environment of this command; it has to be one that {make} "
                "made on the limiter's machine.",
                language=language,
            )
        return text(
            fr=f"Mets LIMITER_KEY dans l'environnement de cette commande : une clé que {make} fait sur la machine du "
            "limiteur.",
            en=f"Set LIMITER_KEY in the environment of this command: a key that {make} makes on the limiter's machine.",
            language=language,
        )

    def _silent(self, error: object, language: str | None, again_after: float | None = None) -> Refused:
        why = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
        told = text(
            fr=f"Le limiteur ne répond pas à {self.url} ({why}).",
            en=f"No limiter answers at {self.url} ({why}).",
            language=language,
        )
        return Refused("out_of_reach", 0, told, again_after, {"why": why})


def _is_excepted(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether the names of NO_PROXY hold that host: itself, the domain it is in, or `*`."""
    names = {name.strip().lstrip(".").lower() for name in no_proxy.split(",")} - {""}
    parts = host.lower().split(".")
    domains = {".".join(parts[at:]) for at in range(len(parts))}
    return "*" in names or bool(names & (domains | {f"{domain}:{port}" for domain in domains}))
