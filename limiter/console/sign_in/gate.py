"""What stands in front of the console: no page, asset or websocket without a sign-in, and headers on every answer.

ASGI middleware around Streamlit for `http` and `websocket` alike, and the two routes that make and end a sign-in.
Promises: signed out, a deep link shows the sign-in form and nothing of its page, and a tab that was left open (over a
restart of the console, say) comes to that form by itself. Whether somebody may change something is not decided here
but by the limiter, with the key that each change is sent with.
"""

import html
import logging
import re
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.AuthRedirect_pb2 import AuthRedirect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from limiter.client import Admin, Refused
from limiter.console.catalog import Language, catalog
from limiter.console.sign_in.sign_ins import SIGN_IN_SECONDS, SignIn, SignIns, cookie_name
from limiter.hosts import HostNames

BASE = "/admin"
SIGN_IN, SIGN_OUT = f"{BASE}/sign-in", f"{BASE}/sign-out"
STREAM = f"{BASE}/_stcore/stream"
# Streamlit's page asks the last two before it opens its stream; they tell nothing of ours.
OPEN = frozenset({"/", BASE, SIGN_IN, SIGN_OUT, f"{BASE}/_stcore/health", f"{BASE}/_stcore/host-config"})
# What Streamlit sends for st.login. An address of nothing is the tab's own: it loads anew, and is shown the form.
LOAD_ANEW = ForwardMsg(auth_redirect=AuthRedirect(url="")).SerializeToString()
CLOSED = (f"{BASE}/_stcore/metrics", f"{BASE}/_stcore/agent")
PAGE = Path(__file__).with_name("sign_in.html").read_text(encoding="utf-8")
LINK_PAGE = re.sub(r"<!--key-->.*<!--/key-->\n", "", PAGE, flags=re.DOTALL)
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
    """The middleware; `hosts` are the names a request may carry."""

    def __init__(self, app: ASGIApp, *, sign_ins: SignIns, hosts: HostNames) -> None:
        self.app, self.sign_ins, self.hosts = app, sign_ins, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what may pass, answer the rest."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        answer = self._answer(scope)
        target: ASGIApp = self.app if answer is None else answer
        if scope["type"] == "websocket" and answer is not None:
            await _turn_away(scope, receive, send, answer.status_code)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if place := headers.get("location"):
                    headers["location"] = _within(place, Headers(scope=scope).get("host", ""))
            await send(message)

        await target(scope, receive, with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """What to say instead of what was asked for; None: let it through."""
        headers, path = Headers(scope=scope), scope["path"]
        if not self.hosts.know(headers.get("host", "")):
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


def _within(place: str, host: str) -> str:
    """A redirect to this host as a path: whether the browser came by https, or by which port, a proxy may not tell."""
    path = re.sub(rf"^https?://{re.escape(host)}(?=/)", "", place, flags=re.IGNORECASE)
    return place if path.startswith("//") else path


async def _turn_away(scope: Scope, receive: Receive, send: Send, status: int) -> None:
    """Close a websocket that may not be; a tab of the console that nobody is signed in for is told to load anew."""
    if status == 401 and scope["path"] == STREAM:
        await receive()  # the first message, which says that it wants to connect
        streamlit = "streamlit" in scope.get("subprotocols", ())
        await send({"type": "websocket.accept", "subprotocol": "streamlit" if streamlit else None})
        await send({"type": "websocket.send", "bytes": LOAD_ANEW})
    await send({"type": "websocket.close", "code": 1008, "reason": "sign in first"})


def cookie_of(headers: Headers) -> str | None:
    """The sign-in cookie that came with a request."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(cookie_name(headers.get("host", "")))
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


def form(language: Language, target: str, sentence: str = "", status: int = 401, link: str = "") -> HTMLResponse:
    """The sign-in form; `target` is where to go after it. With a `link` that still opens, a button and no key."""

    def word(text: str) -> str:
        return catalog().get(text, (text,))[0] if language == "fr" else text

    texts = {
        "lang": language,
        "title": word("Sign in to the console"),
        "label": word("Admin key"),
        "hint": word(
            "The first start wrote one to admin.key beside the database; others come from “limiter keys create”."
        ),
        "button": word("Sign in"),
        "action": SIGN_IN,
        "target": target,
        "sentence": word(sentence),
        "link": link,
    }
    page = LINK_PAGE if link else PAGE
    for name, text in texts.items():
        page = page.replace("{{" + name + "}}", html.escape(text))
    return HTMLResponse(page, status, {"Cache-Control": "no-store"})


class Door:
    """The routes that make and end a sign-in. `link_key` gives the key that a one-time link signs in with."""

    def __init__(self, sign_ins: SignIns, limiter_url: str, link_key: Callable[[], str]) -> None:
        self.sign_ins, self.limiter_url, self.link_key = sign_ins, limiter_url, link_key

    async def sign_in(self, request: Request) -> Response:
        """GET: the form, or with `?link=` a button that uses the link. POST: a typed key, or that button.

        What looks at links before people do (mail filters, chat previews) sends HEAD and GET, which use nothing up.
        """
        if request.method == "POST":
            if _same_site(request):
                return await self._enter(request)
            return PlainTextResponse("This form was sent from another site.\n", 403)
        token = request.query_params.get("link", "")
        if token and not self.sign_ins.opens(token):
            return self._spent(request, f"{BASE}/")
        language, target = language_of(request.headers), _inside(request.query_params.get("next", ""))
        return form(language, target, status=200, link=token)

    async def _enter(self, request: Request) -> Response:
        """What was sent with the form, as a sign-in or a sentence."""
        language = language_of(request.headers)
        fields = await request.form(max_fields=4)
        key, target, token = (str(fields.get(name, "")).strip() for name in ("key", "next", "link"))
        target = _inside(target)
        if token:
            if not self.sign_ins.opens(token):
                return self._spent(request, target)
            key = self.link_key()
        try:
            opened = await run_in_threadpool(self._open, key)
        except Refused as refused:
            log.warning("sign_in_refused reason=%s", refused.reason)
            sentence = "This key is unknown." if refused.reason == "unauthorized" else str(refused)
            return form(language, target, sentence, 401 if refused.status == 401 else 403)
        if opened is None:
            return form(language, target, "This key is not an admin key.", 403)
        if token and not self.sign_ins.redeem(token):  # used by another in this moment
            self.sign_ins.close(opened)
            return self._spent(request, target)
        response = _lead(target)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        response.set_cookie(
            cookie_name(request.headers.get("host", "")),
            self.sign_ins.cookie(opened),
            SIGN_IN_SECONDS,
            path=BASE,
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return response

    def _spent(self, request: Request, target: str) -> Response:
        """The answer to a link that opens nothing any more; who is signed in (and clicked twice, say) needs none."""
        if self.sign_ins.find(cookie_of(request.headers)) is not None:
            return _lead(target)
        return form(language_of(request.headers), target, "This link has been used or is over. Type a key.", 403)

    def _open(self, key: str) -> SignIn | None:
        """Ask the limiter whose key it is. None: no admin's. Raises Refused."""
        if not key:
            raise Refused("unauthorized", 401, "")
        with Admin(self.limiter_url, key, timeout=5.0) as admin:
            shown = admin.whoami().key
        if shown is None or not shown.scope.startswith("admin:"):
            return None
        log.warning("signed_in key=%s scope=%s", shown.id, shown.scope)
        return self.sign_ins.open(key, shown.name or shown.id, shown.scope)

    async def sign_out(self, request: Request) -> Response:
        """End the sign-in; a Strict cookie does not come with a request that another site began."""
        found = self.sign_ins.find(cookie_of(request.headers))
        if found is not None:
            self.sign_ins.close(found)
        response = RedirectResponse(SIGN_IN, 303)
        name = cookie_name(request.headers.get("host", ""))
        response.delete_cookie(name, path=BASE, httponly=True, samesite="strict")
        return response


def _lead(target: str) -> HTMLResponse:
    """To a page of the console. Not a redirect: a Strict cookie is not sent along one that began on another site."""
    page = f'<!doctype html><meta http-equiv="refresh" content="0;url={html.escape(target)}"><title>…</title>'
    return HTMLResponse(page, headers={"Cache-Control": "no-store"})


def _inside(target: str) -> str:
    """The target where it is a page of the console, else its first page."""
    return target if target.startswith(f"{BASE}/") and not target.startswith((SIGN_IN, SIGN_OUT)) else f"{BASE}/"


def _same_site(request: Request) -> bool:
    """Whether the form came from this console: browsers say so in one of two headers."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:  # it is about addresses as the browser sees them, whatever a proxy made of Host
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin in (None, "null") or origin.partition("://")[2].lower() == request.headers.get("host", "").lower()
