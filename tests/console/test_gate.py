"""The gate and the door of the console, in front of a page of its own kind, with a real limiter behind."""

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from limiter.access import WRONG_KEYS
from limiter.console.gate import SIGN_IN, SIGN_OUT, Door, Gate
from limiter.console.signins import COOKIE, SignIns
from tests.conftest import Limiter, wait_until

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    """A limiter whose wrong keys are counted for this module alone."""
    one = Limiter(tmp_path_factory.mktemp("gate"), {})
    try:
        one.serve()
        yield one
        one.close()
    finally:
        one.kill()


@pytest.fixture
def browser(server: Limiter) -> Iterator[httpx.Client]:
    """A browser before a console whose one page says `inside`."""
    sign_ins = SignIns()
    door = Door(sign_ins, server.url, lambda: server.admin_key)

    async def inside(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("inside")
        await websocket.close()

    app = Starlette(
        routes=[
            Route(SIGN_IN, door.sign_in, methods=["GET", "POST"]),
            Route(SIGN_OUT, door.sign_out),
            Route("/admin/{page:path}", lambda _: PlainTextResponse("inside")),
            WebSocketRoute("/admin/_stcore/stream", inside),
        ],
        middleware=[Middleware(Gate, sign_ins=sign_ins, hosts=["bots.example"])],
    )
    console = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="websockets-sansio"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=console.run, args=([listening],))
        thread.start()
        wait_until(lambda: console.started, 10, "the console")
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=10) as client:
            yield client
        console.should_exit = True
        thread.join()


def stream(browser: httpx.Client) -> str:
    """What the page's websocket says, with the cookie that the browser has."""
    cookie = {"Cookie": f"{COOKIE}={browser.cookies.get(COOKIE, '')}"}
    address = str(browser.base_url).replace("http", "ws") + "/admin/_stcore/stream"
    with connect(address, additional_headers=cookie) as websocket:
        return str(websocket.recv())


def sign_in(browser: httpx.Client, key: str, **headers: str) -> int:
    return browser.post(SIGN_IN, data={"key": key, "next": "/admin/limits"}, headers=headers).status_code


def test_a_sign_in_opens_pages_and_websocket_and_a_sign_out_closes_both(browser: httpx.Client, server: Limiter) -> None:
    assert browser.get("/admin/limits", headers=HTML).status_code == 401
    assert sign_in(browser, server.admin_key) == 200
    assert browser.get("/admin/limits").text == "inside"
    assert stream(browser) == "inside"
    cookie = browser.cookies[COOKIE]
    browser.get(SIGN_OUT)
    browser.cookies.set(COOKIE, cookie)
    assert browser.get("/admin/limits").status_code == 401, "a kept cookie is worth nothing any more"
    with pytest.raises(InvalidStatus):
        stream(browser)


def test_the_cookie_is_for_this_site_alone_and_holds_no_key(browser: httpx.Client, server: Limiter) -> None:
    proxied = {"Host": "bots.example", "X-Forwarded-Proto": "https", "Origin": "https://bots.example"}
    answer = browser.post(SIGN_IN, data={"key": server.admin_key}, headers=proxied)
    cookie = answer.headers["Set-Cookie"]
    for flag in ("httponly", "secure", "samesite=strict", "path=/admin", "max-age=28800"):
        assert flag in cookie.lower()
    secret = server.admin_key.split("_", 2)[2]
    assert secret not in cookie and secret not in answer.text and secret not in str(answer.url)


def test_every_answer_carries_the_headers(browser: httpx.Client, server: Limiter) -> None:
    answers = [browser.get("/admin/limits", headers=HTML), browser.get("/admin/x"), browser.get(SIGN_IN)]
    sign_in(browser, server.admin_key)
    for answer in (*answers, browser.get("/admin/limits")):
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy and "unsafe-eval" not in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://other.bots.example"},
    ],
)
def test_a_form_from_another_site_signs_nobody_in(
    browser: httpx.Client, server: Limiter, headers: dict[str, str]
) -> None:
    assert sign_in(browser, server.admin_key, **headers) == 403
    assert COOKIE not in browser.cookies


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/admin/../x", "javascript:alert(1)"])
def test_a_sign_in_leads_to_no_other_site(browser: httpx.Client, server: Limiter, target: str) -> None:
    answer = browser.post(SIGN_IN, data={"key": server.admin_key, "next": target})
    assert answer.status_code == 200
    assert "evil" not in answer.text and "javascript" not in answer.text
    assert 'content="0;url=/admin/' in answer.text


def test_another_host_name_is_refused(browser: httpx.Client) -> None:
    for host in ("evil.example", "", "bots.example.evil.example", "127.0.0.1.evil.example"):
        assert browser.get(SIGN_IN, headers={"Host": host}).status_code == 400, host


def test_keys_cannot_be_guessed_at_the_door(browser: httpx.Client, server: Limiter) -> None:
    for _ in range(WRONG_KEYS):
        assert sign_in(browser, "lim_nobody_" + "A" * 43) == 401
    answer = browser.post(SIGN_IN, data={"key": "lim_nobody_" + "B" * 43}, headers={"Accept-Language": "en"})
    assert answer.status_code == 403
    assert "Too many wrong keys" in answer.text or "Trop de clés fausses" in answer.text
    assert sign_in(browser, server.admin_key) == 200, "who has the key is not locked out"
