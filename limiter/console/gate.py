"""What stands in front of the console: no page, asset or websocket without a sign-in, and headers on every answer.

ASGI middleware around Streamlit for `http` and `websocket` alike, and the two routes that make and end a sign-in.
Promises: signed out, a deep link shows the sign-in form and nothing of its page. Whether somebody may change something
is not decided here but by the limiter, with the key that each change is sent with.
"""

import html
import logging
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limiter.client import Admin, Refused
from limiter.console.signins import COOKIE, SIGN_IN_SECONDS, SignIn, SignIns
from limiter.console.words import Language, catalog

BASE = "/admin"
SIGN_IN, SIGN_OUT = f"{BASE}/sign-in", f"{BASE}/sign-out"
OPEN = frozenset({"/", BASE, SIGN_IN, SIGN_OUT, f"{BASE}/_stcore/health"})
CLOSED = (f"{BASE}/_stcore/metrics", f"{BASE}/_stcore/agent")
PAGE = Path(__file__).with_name("sign_in.html").read_text(encoding="utf-8")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
        " font-src 'self' data:; connect-src 'self' ws: wss:; worker-src 'self' blob:; manifest-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

log = logging.getLogger("limiter.console")


class Gate:
    """The middleware. `hosts` are the names a request may carry beside loopback; none given: any bound address."""

    def __init__(self, app: ASGIApp, *, sign_ins: SignIns, hosts: Iterable[str] = ()) -> None:
        self.app = app
        self.sign_ins = sign_ins
        self.hosts = LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what may pass, answer the rest."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        answer = self._answer(scope)
        target: ASGIApp = self.app if answer is None else answer
        if scope["type"] == "websocket" and answer is not None:
            await send({"type": "websocket.close", "code": 1008, "reason": "sign in first"})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await target(scope, receive, with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """What to say instead of what was asked for; None: let it through."""
        headers, path = Headers(scope=scope), scope["path"]
        if _host_name(headers.get("host", "")) not in self.hosts:
            return PlainTextResponse("This host name is not allowed: see LIMITER_ALLOWED_HOSTS.\n", 400)
        if path.startswith(CLOSED):
            return PlainTextResponse("Not found\n", 404)
        if self.sign_ins.find(cookie_of(headers)) is not None:
            return None
        if scope["type"] == "http" and path in OPEN:
            return None
        if scope["type"] == "websocket" or "text/html" not in headers.get("accept", ""):
            return PlainTextResponse("Sign in first\n", 401)
        query = scope["query_string"].decode("latin-1")
        return form(language_of(headers), f"{path}?{query}" if query else path)


def _host_name(host: str) -> str:
    return (urlsplit(f"//{host}").hostname or "").lower() if host else ""


def cookie_of(headers: Headers) -> str | None:
    """The sign-in cookie that came with a request."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def language_of(headers: Headers) -> Language:
    """The first of our languages that the browser asks for; English where none is."""
    for part in headers.get("accept-language", "").lower().split(","):
        if part.strip().startswith("fr"):
            return "fr"
        if part.strip().startswith("en"):
            return "en"
    return "en"


def form(language: Language, target: str, sentence: str = "", status: int = 401) -> HTMLResponse:
    """The sign-in form; `target` is where to go after it."""

    def word(text: str) -> str:
        return catalog().get(text, (text,))[0] if language == "fr" else text

    texts = {
        "lang": language,
        "title": word("Sign in to the console"),
        "label": word("Admin key"),
        "hint": word("The first start wrote one to admin.key beside the database; others come from `keys create`."),
        "button": word("Sign in"),
        "action": SIGN_IN,
        "target": target,
        "sentence": word(sentence),
    }
    page = PAGE
    for name, text in texts.items():
        page = page.replace("{{" + name + "}}", html.escape(text))
    return HTMLResponse(page, status, {"Cache-Control": "no-store"})


class Door:
    """The routes that make and end a sign-in. `link_key` gives the key that a one-time link signs in with."""

    def __init__(self, sign_ins: SignIns, limiter_url: str, link_key: Callable[[], str]) -> None:
        self.sign_ins, self.limiter_url, self.link_key = sign_ins, limiter_url, link_key

    async def sign_in(self, request: Request) -> Response:
        """GET: the form, or with `?link=` the sign-in itself. POST: a typed key."""
        language = language_of(request.headers)
        if request.method == "POST":
            if not _same_site(request):
                return PlainTextResponse("This form was sent from another site.\n", 403)
            fields = await request.form(max_fields=4)
            key, target = str(fields.get("key", "")).strip(), _inside(str(fields.get("next", "")))
        elif token := request.query_params.get("link", ""):
            if not self.sign_ins.redeem(token):
                return form(language, f"{BASE}/", "This link has been used or is over. Type a key.", 403)
            key, target = self.link_key(), f"{BASE}/"
        else:
            return form(language, _inside(request.query_params.get("next", "")), status=200)
        try:
            opened = await run_in_threadpool(self._open, key)
        except Refused as refused:
            log.warning("sign_in_refused reason=%s", refused.reason)
            sentence = "This key is unknown." if refused.reason == "unauthorized" else str(refused)
            return form(language, target, sentence, 401 if refused.status == 401 else 403)
        if opened is None:
            return form(language, target, "This key is not an admin key.", 403)
        # Not a redirect: a Strict cookie is not sent along one that began on another site.
        page = f'<!doctype html><meta http-equiv="refresh" content="0;url={html.escape(target)}"><title>…</title>'
        response = HTMLResponse(page, headers={"Cache-Control": "no-store"})
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        response.set_cookie(
            COOKIE,
            self.sign_ins.cookie(opened),
            SIGN_IN_SECONDS,
            path=BASE,
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return response

    def _open(self, key: str) -> SignIn | None:
        """Ask the limiter whose key it is. None: no admin's. Raises Refused."""
        if not key:
            raise Refused("unauthorized", 401, "")
        with Admin(self.limiter_url, key, timeout=5.0) as admin:
            shown = admin.whoami()["key"]
        if not str(shown["scope"]).startswith("admin:"):
            return None
        log.warning("signed_in key=%s scope=%s", shown["id"], shown["scope"])
        return self.sign_ins.open(key, str(shown["name"] or shown["id"]), str(shown["scope"]))

    async def sign_out(self, request: Request) -> Response:
        """End the sign-in; a Strict cookie does not come with a request that another site began."""
        found = self.sign_ins.find(request.cookies.get(COOKIE))
        if found is not None:
            self.sign_ins.close(found)
        response = RedirectResponse(SIGN_IN, 303)
        response.delete_cookie(COOKIE, path=BASE, httponly=True, samesite="strict")
        return response


def _inside(target: str) -> str:
    """The target where it is a page of the console, else its first page."""
    return target if target.startswith(f"{BASE}/") and not target.startswith((SIGN_IN, SIGN_OUT)) else f"{BASE}/"


def _same_site(request: Request) -> bool:
    """Whether the form came from this console: browsers say so in one of two headers."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin in (None, "null") or urlsplit(origin).netloc == request.headers.get("host")
