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
from websockets.typing import Subprotocol

from limiter.access import WRONG_KEYS
from limiter.console.sign_in.gate import LOAD_ANEW, SIGN_IN, SIGN_OUT, Door, Gate
from limiter.console.sign_in.sign_ins import SignIns, cookie_name
from limiter.hosts import HostNames
from tests.conftest import Limiter, served, wait_until

HTML = {"Accept": "text/html"}


class Browser(httpx.Client):
    """A browser, and the insides of the console that it is before."""

    sign_ins: SignIns
    door: Door


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    """A limiter whose wrong keys are counted for this module alone."""
    with served(Limiter(tmp_path_factory.mktemp("gate"), {})) as one:
        yield one


@pytest.fixture
def browser(server: Limiter) -> Iterator[Browser]:
    """A browser before a console whose one page says `inside`."""
    yield from before_a_console(server, SignIns())


def before_a_console(server: Limiter, sign_ins: SignIns) -> Iterator[Browser]:
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
        middleware=[Middleware(Gate, sign_ins=sign_ins, hosts=HostNames("127.0.0.1", ["bots.example"]))],
    )
    console = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="websockets-sansio"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=console.run, args=([listening],))
        thread.start()
        wait_until(lambda: console.started, 10, "the console")
        with Browser(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=10) as client:
            client.sign_ins, client.door = sign_ins, door
            yield client
        console.should_exit = True
        thread.join()


def cookie_of(browser: Browser) -> str:
    """The name of the cookie for the console that the browser is before."""
    return cookie_name(browser.base_url.netloc.decode())


def stream(browser: Browser, path: str = "/admin/_stcore/stream") -> str | bytes:
    """What the page's websocket says, with the cookie that the browser has."""
    cookie = {"Cookie": f"{cookie_of(browser)}={browser.cookies.get(cookie_of(browser), '')}"}
    address = str(browser.base_url).replace("http", "ws") + path
    with connect(address, additional_headers=cookie, subprotocols=[Subprotocol("streamlit")]) as websocket:
        return websocket.recv()


def sign_in(browser: Browser, key: str, **headers: str) -> int:
    return browser.post(SIGN_IN, data={"key": key, "next": "/admin/limits"}, headers=headers).status_code


def test_a_sign_in_opens_pages_and_websocket_and_a_sign_out_closes_both(browser: Browser, server: Limiter) -> None:
    assert browser.get("/admin/limits", headers=HTML).status_code == 401
    assert sign_in(browser, server.admin_key) == 200
    assert browser.get("/admin/limits").text == "inside"
    assert stream(browser) == "inside"
    cookie = browser.cookies[cookie_of(browser)]
    browser.get(SIGN_OUT)
    browser.cookies.set(cookie_of(browser), cookie)
    assert browser.get("/admin/limits").status_code == 401, "a kept cookie is worth nothing any more"
    assert stream(browser) == LOAD_ANEW, "and a tab that was left open is sent to the form"
    with pytest.raises(InvalidStatus):
        stream(browser, "/admin/_stcore/other")


def test_a_link_may_be_looked_at_before_it_is_used(browser: Browser, server: Limiter) -> None:
    link = {"link": browser.sign_ins.link()}
    for method in ("HEAD", "GET", "GET"):
        looked = browser.request(method, SIGN_IN, params=link)
        assert looked.status_code == 200 and "Set-Cookie" not in looked.headers
    assert 'type="password"' not in looked.text and f'value="{link["link"]}"' in looked.text
    assert browser.post(SIGN_IN, data=link, headers={"Origin": "https://evil.example"}).status_code == 403
    used = browser.post(SIGN_IN, data=link, headers={"Sec-Fetch-Site": "same-origin"})
    assert used.status_code == 200 and browser.get("/admin/limits").text == "inside"
    again = browser.post(SIGN_IN, data=link)
    assert again.status_code == 200 and "0;url=/admin/" in again.text, "a double click is no mistake"
    browser.cookies.clear()
    for spent in (browser.post(SIGN_IN, data=link), browser.get(SIGN_IN, params=link)):
        assert spent.status_code == 403 and 'type="password"' in spent.text and "Set-Cookie" not in spent.headers


def test_a_link_is_not_used_up_while_the_limiter_is_away(browser: Browser, server: Limiter) -> None:
    link, address = {"link": browser.sign_ins.link()}, browser.door.limiter_url
    browser.door.limiter_url = "http://127.0.0.1:9"
    assert browser.post(SIGN_IN, data=link).status_code == 403
    browser.door.limiter_url = address
    assert browser.post(SIGN_IN, data=link).status_code == 200


def test_two_consoles_of_one_host_keep_their_sign_ins_apart(browser: Browser, server: Limiter) -> None:
    """A browser sends the cookies of one port to all ports of the host."""
    assert sign_in(browser, server.admin_key) == 200
    for other in before_a_console(server, SignIns()):
        other.cookies = browser.cookies
        assert other.get("/admin/limits").status_code == 401
        assert sign_in(other, server.admin_key) == 200
        assert other.get("/admin/limits").text == browser.get("/admin/limits").text == "inside"
        other.get(SIGN_OUT)
        assert browser.get("/admin/limits").text == "inside"


def test_the_cookie_is_for_this_site_alone_and_holds_no_key(browser: Browser, server: Limiter) -> None:
    proxied = {"Host": "bots.example", "X-Forwarded-Proto": "https", "Origin": "https://bots.example"}
    answer = browser.post(SIGN_IN, data={"key": server.admin_key}, headers=proxied)
    cookie = answer.headers["Set-Cookie"]
    for flag in ("httponly", "secure", "samesite=strict", "path=/admin", "max-age=28800"):
        assert flag in cookie.lower()
    secret = server.admin_key.split("_", 2)[2]
    assert secret not in cookie and secret not in answer.text and secret not in str(answer.url)


def test_every_answer_carries_the_headers(browser: Browser, server: Limiter) -> None:
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
def test_a_form_from_another_site_signs_nobody_in(browser: Browser, server: Limiter, headers: dict[str, str]) -> None:
    assert sign_in(browser, server.admin_key, **headers) == 403
    assert not browser.cookies


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/admin/../x", "javascript:alert(1)"])
def test_a_sign_in_leads_to_no_other_site(browser: Browser, server: Limiter, target: str) -> None:
    answer = browser.post(SIGN_IN, data={"key": server.admin_key, "next": target})
    assert answer.status_code == 200
    assert "evil" not in answer.text and "javascript" not in answer.text
    assert 'content="0;url=/admin/' in answer.text


def test_another_host_name_is_refused(browser: Browser) -> None:
    for host in ("evil.example", "", "bots.example.evil.example", "127.0.0.1.evil.example", "[", "[::1", "a:b:c"):
        assert browser.get(SIGN_IN, headers={"Host": host}).status_code == 400, host


@pytest.mark.parametrize("text", ["clé", "lim_a_b\nc", "x" * 100_000, "\0"])
def test_what_is_no_key_is_refused(browser: Browser, text: str) -> None:
    assert sign_in(browser, text) in (401, 403)


@pytest.mark.parametrize("origin", ["http://[", "null://", "a:b:c:d"])
def test_a_strange_origin_is_another_site(browser: Browser, server: Limiter, origin: str) -> None:
    assert sign_in(browser, server.admin_key, Origin=origin) == 403


def test_a_form_from_behind_a_proxy_on_a_port_of_its_own_is_from_this_site(browser: Browser, server: Limiter) -> None:
    """A proxy may pass the host on without its port; browsers of this decade say `same-origin` themselves."""
    origin = {"Host": "bots.example", "Origin": "https://bots.example:8443"}
    assert sign_in(browser, server.admin_key, **origin, **{"Sec-Fetch-Site": "same-origin"}) == 200


def test_keys_cannot_be_guessed_at_the_door(browser: Browser, server: Limiter) -> None:
    for _ in range(WRONG_KEYS):
        assert sign_in(browser, "lim_nobody_" + "A" * 43) == 401
    answer = browser.post(SIGN_IN, data={"key": "lim_nobody_" + "B" * 43}, headers={"Accept-Language": "en"})
    assert answer.status_code == 403
    assert "Too many wrong keys" in answer.text or "Trop de clés fausses" in answer.text
    assert sign_in(browser, server.admin_key) == 200, "who has the key is not locked out"
