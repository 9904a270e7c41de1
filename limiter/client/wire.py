"""How the API is spoken: what a connection sends with every call, and what a reply that is not a success means.

Promises: whatever goes wrong is a `Refused` with a sentence for a person. Does not promise: to try again (see stay.py).
"""

import os
import re
import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

import httpx

from limiter.calling import A_PROXYS, is_loopback, retry_after

DEFAULT_URL = "http://127.0.0.1:5001"
PROBLEM_FIELDS = {"type", "title", "status", "detail", "success", "error", "reason", "request_id"}

Answer = dict[str, Any]
Reply = httpx.Response | httpx.RequestError
Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)


class Refused(Exception):
    """The limiter said no, or could not be asked. `str()` is the sentence for the user.

    `reason` as in the API, or `out_of_reach` (no answer; `status` 0 or a proxy's), `not_a_limiter` (something else
    answered). `retry_after` is in seconds, or None; `extra` holds the reason's own facts (`capacity`, `guards`, …).
    """

    def __init__(
        self,
        reason: str,
        status: int,
        sentence: str,
        request_id: str = "",
        retry_after: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.reason, self.status, self.sentence = reason, status, sentence
        self.request_id, self.retry_after, self.extra = request_id, retry_after, dict(extra or {})


class Connection:
    """Where the limiter is and what is sent along: `LIMITER_URL`, `LIMITER_KEY`, `LIMITER_LANG` where not given."""

    def __init__(self, url: str | None = None, key: str | None = None, language: str | None = None) -> None:
        self.url = (url or os.environ.get("LIMITER_URL") or DEFAULT_URL).rstrip("/")
        self.key = (os.environ.get("LIMITER_KEY", "") if key is None else key).strip()
        self.language = language or os.environ.get("LIMITER_LANG", "")
        if not _is_web_address(self.url):
            sentence = self.text(
                fr=f"{self.url!r} n'est pas une adresse comme {DEFAULT_URL} (LIMITER_URL).",
                en=f"{self.url!r} is no address such as {DEFAULT_URL} (LIMITER_URL).",
            )
            raise Refused("out_of_reach", 0, sentence)
        if not re.fullmatch(r"[!-~]*", self.key):  # a header carries no other characters: this was never sent
            sentence = self.text(
                fr="La clé contient un caractère qu'aucune clé n'a (LIMITER_KEY).",
                en="The key has a character that no key has (LIMITER_KEY).",
            )
            raise Refused("unauthorized", 401, sentence)

    def text(self, *, fr: str, en: str) -> str:
        """The one of the two that the person reads."""
        return en if self.language.lower().startswith("en") else fr

    def open(self, kind: type[Client], timeout: float = 5.0) -> Client:
        """A client of httpx for this connection. Raises Refused where the environment names an unusable proxy."""
        headers = {"User-Agent": "limiter-client"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        if self.language:
            headers["Accept-Language"] = self.language
        proxies = not is_loopback(
            httpx.URL(self.url).host
        )  # one would hear session secrets, or know of no such limiter
        try:
            return kind(
                base_url=self.url,
                headers=headers,
                timeout=timeout,
                # Longer than the 20 s between two beats; less than the 75 s after which the server closes an idle
                # connection (proxies: 60 s and more), for one that is closed while it is reused is a lost answer.
                limits=httpx.Limits(max_connections=None, keepalive_expiry=50.0),
                verify=self._certificates,
                trust_env=proxies,
            )
        except (ImportError, ValueError) as error:  # a SOCKS proxy without `socksio`; an address that is none
            raise self._own("out_of_reach", 0, str(error)) from error

    @cached_property
    def _certificates(self) -> ssl.SSLContext | bool:
        """Whom to trust, by SSL_CERT_FILE too, on loopback as well. 40 ms to build: only where there is TLS."""
        try:
            if not self.url.startswith("https:"):
                return False
            if named := os.environ.get("SSL_CERT_FILE"):
                os.stat(named)  # httpx before 0.28 says nothing of one that is not there
            return httpx.create_ssl_context()
        except OSError as error:
            raise self._own("out_of_reach", 0, f"SSL_CERT_FILE: {error}") from error

    def refusal(self, reply: Reply) -> Refused | None:
        """Why the reply is not a success; None where it is one, with an object of JSON or text that is no JSON."""
        if not isinstance(reply, httpx.Response):
            return self._own("out_of_reach", 0, str(reply) or type(reply).__name__)
        try:
            body = reply.json()
        except ValueError:
            body = None
        if reply.is_success and (isinstance(body, dict) or "json" not in reply.headers.get("Content-Type", "")):
            return None
        if not isinstance(body, dict) or "reason" not in body:
            reason = "out_of_reach" if reply.status_code in A_PROXYS else "not_a_limiter"
            own = self._own(reason, reply.status_code, f"HTTP {reply.status_code}")
            own.retry_after = retry_after(reply.headers)
            return own
        return Refused(
            str(body["reason"]),
            reply.status_code,
            str(body.get("error") or body.get("detail") or body["reason"]),
            str(body.get("request_id") or reply.headers.get("X-Request-ID", "")),
            retry_after(reply.headers),
            {name: value for name, value in body.items() if name not in PROBLEM_FIELDS},
        )

    def strange(self, status: int, detail: str) -> Refused:
        """What is raised where an answer is none of a limiter; `detail` says what is wrong with it."""
        return self._own("not_a_limiter", status, detail)

    def _own(self, reason: str, status: int, detail: str) -> Refused:
        if reason == "out_of_reach":
            sentence = self.text(fr=f"Le limiteur ne répond pas à {self.url}", en=f"No limiter answers at {self.url}")
        else:
            sentence = self.text(
                fr=f"Ce qui répond à {self.url} n'est pas le limiteur", en=f"What answers at {self.url} is no limiter"
            )
        return Refused(reason, status, f"{sentence} ({detail}).")


def _is_web_address(url: str) -> bool:
    """Whether it has a scheme that is spoken, and a host."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parts.scheme in ("http", "https") and bool(parts.host)
