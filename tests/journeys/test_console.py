"""The console as an operator meets it: a real browser, a real console, the limiter that it started."""

import contextlib
import csv
import functools
import json
import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect, sync_playwright
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import TimeoutError as BrowserTimeout
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from limiter import config, demo
from limiter.console.sign_in.gate import LOAD_ANEW
from tests.conftest import wait_until
from tests.console.texts import plurals, said
from tests.journeys.console_process import CHROMIUM, Console, running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
PAGES = ("", "sessions", "alerts", "history", "usage", "limits", "launch", "settings")
TICK_MS = 7_000  # what is shown follows within 5 s; the rest is the browser's
# Streamlit's own, in its frame and its widgets: nothing of ours can change them.
KNOWN_AXE = {"list", "listitem", "svg-img-alt"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """150 bots of 200, whose leases outlast the tests, and a snapshot of all of them."""
    with running(tmp_path_factory.mktemp("console"), BOT_LEASE_SECONDS=86_400) as console:
        console.start_bots(150)
        end = time.monotonic() + 30
        while not any(one["bots"]["max"] >= 150 for one in console.admin("GET", "history").json()["buckets"]):
            assert time.monotonic() < end, console.output
            time.sleep(0.5)
        yield console


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser of the machine."""
    playwright: Playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_browser(chromium: Browser, console: Console, key: str | None = None, **options: Any) -> Page:
    """A signed-in browser window of its own; requests that leave the machine are kept in `page.outside`."""
    options = {"viewport": {"width": 1440, "height": 900}, "locale": "en-US", "timezone_id": "Europe/Paris"} | options
    context: BrowserContext = chromium.new_context(**options)
    page = context.new_page()
    outside: list[str] = []
    page.outside = outside  # type: ignore[attr-defined]
    page.on(
        "request", lambda sent: None if "127.0.0.1" in sent.url or ":" not in sent.url[:6] else outside.append(sent.url)
    )
    page.goto(f"{console.url}/")
    page.fill("#key", key or console.key)
    page.click("button[type=submit]")
    expect(page.locator(".st-key-status")).to_be_visible(timeout=30_000)
    return page


def visit(page: Page, console: Console, path: str) -> None:
    """Go there and wait until it is drawn."""
    page.goto(f"{console.url}/{path}")
    expect(page.locator(".st-key-status")).to_be_visible(timeout=30_000)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the script of the page has run to its end."""
    page.wait_for_timeout(300)
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_visible(timeout=30_000)


def field(page: Page, name: str) -> Any:
    """The field of a limit."""
    return page.get_by_role("spinbutton", name=name, exact=True)


# -- the gate


def test_signed_out_a_deep_link_shows_the_form_and_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path) as console:  # cold: nobody has opened a page yet
        for path in PAGES:
            answer = httpx.get(f"{console.url}/{path}", headers={"Accept": "text/html"})
            assert answer.status_code == 401 and 'type="password"' in answer.text, path
            assert "streamlit" not in answer.text.lower()
        for path in ("static/js/index.js", "_stcore/metrics", "_stcore/agent/openapi.json"):
            assert httpx.get(f"{console.url}/{path}").status_code in (401, 404), path
        with connect(f"{console.url.replace('http', 'ws')}/_stcore/stream") as websocket:
            assert websocket.recv() == LOAD_ANEW, "which the browser answers with a visit to the form"
            with pytest.raises(ConnectionClosedError):
                websocket.recv()
        answer = httpx.get(f"{console.url}/", headers={"Host": "evil.example"})
        assert answer.status_code == 400
        assert console.stop() == 0


def test_a_tab_that_was_open_over_a_restart_of_the_console_comes_to_the_form(chromium: Browser, tmp_path: Path) -> None:
    with running(tmp_path) as console:
        page = open_browser(chromium, console)
        visit(page, console, "limits?lang=en")
        console.stop()
        console.start()
        page.wait_for_selector("#key", timeout=20_000)
        page.fill("#key", console.key)
        page.click("button[type=submit]")
        page.wait_for_url(re.compile("/admin/limits"), timeout=20_000)
        page.context.close()


def test_the_link_signs_in_once(console: Console) -> None:
    address, _, link = console.link.partition("?link=")
    with httpx.Client() as browser:
        assert browser.head(console.link).status_code == browser.get(console.link).status_code == 200
        answer = browser.post(address, data={"link": link})
        assert answer.status_code == 200
        cookie = answer.headers["Set-Cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and "max-age=28800" in cookie
        inside = browser.get(f"{console.url}/", headers={"Accept": "text/html"})
        assert inside.status_code == 200 and "streamlit" in inside.text.lower()
        assert "script-src 'self'" in inside.headers["Content-Security-Policy"]
        browser.get(f"{console.url}/sign-out")
        assert browser.get(console.link).status_code == 403
        assert browser.get(f"{console.url}/", headers={"Accept": "text/html"}).status_code == 401


def test_a_wrong_key_and_a_bots_key_do_not_sign_in(console: Console) -> None:
    bots = console.admin("POST", "keys", scope="bots").json()["key"]
    for key in ("lim_00000000_wrong", bots):
        answer = httpx.post(f"{console.url}/sign-in", data={"key": key, "next": "/admin/"})
        assert answer.status_code in (401, 403) and "Set-Cookie" not in answer.headers
    console.admin("DELETE", f"keys/{bots.split('_')[1]}")
    foreign = httpx.post(f"{console.url}/sign-in", data={"key": console.key}, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403


# -- live


def test_overview_follows_the_bots(chromium: Browser, console: Console) -> None:
    page = open_browser(chromium, console)
    status = page.locator(".st-key-status").first
    expect(status).to_contain_text("Active Bots: 150 / 200 slots (75.0%)")
    expect(status).to_contain_text("HEALTHY")
    expect(status.get_by_role("img", name="check icon")).to_be_visible()
    more = [{"user_id": f"more{n}", "bot_id": "b"} for n in range(10)]
    headers = {"Authorization": f"Bearer {console.key}"}
    sessions = [console.http.post("/api/bots/start", json=body, headers=headers).json()["session"] for body in more]
    expect(status).to_contain_text("Active Bots: 160 / 200 slots (80.0%)", timeout=TICK_MS)
    expect(status).to_contain_text("WARNING")
    expect(status.get_by_role("img", name="warning icon")).to_be_visible()
    for session in sessions:
        console.http.post("/api/bots/stop", json={"session_id": session["session_id"]}, headers=headers)
    expect(status).to_contain_text("150 / 200", timeout=TICK_MS)
    assert page.outside == []  # type: ignore[attr-defined]
    page.context.close()


def test_live_can_be_paused(chromium: Browser, console: Console) -> None:
    page = open_browser(chromium, console)
    visit(page, console, "?live=false")
    status = page.locator(".st-key-status").first
    before = status.inner_text()
    page.wait_for_timeout(6_500)
    assert status.inner_text() == before
    page.context.close()


# -- limits


def propose(page: Page, name: str, value: int) -> None:
    """Type a limit and ask for its preview."""
    box = field(page, name)
    box.fill(str(value))
    box.press("Tab")
    settle(page)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Preview")).to_be_visible(timeout=20_000)


def apply(page: Page, reason: str) -> None:
    """Give a reason and apply what is proposed."""
    box = page.get_by_label("Reason")
    box.fill(reason)
    box.press("Tab")
    settle(page)
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible(timeout=20_000)


def test_a_lowered_limit_cuts_nobody_refuses_the_next_and_is_undone(chromium: Browser, console: Console) -> None:
    page = open_browser(chromium, console)
    visit(page, console, "limits")
    propose(page, "MAX_CONCURRENT_BOTS", 140)
    expect(page.get_by_text("10 over 140")).to_be_visible()
    expect(page.get_by_role("button", name="Apply")).to_be_disabled()
    typed = page.get_by_label("Type the new limit, 140, to confirm")
    typed.fill("140")
    typed.press("Tab")
    apply(page, "browser test")
    headers = {"Authorization": f"Bearer {console.key}", "Accept-Language": "fr"}
    answer = console.http.post("/api/bots/start", json={"user_id": "one-more"}, headers=headers)
    assert answer.status_code == 503
    assert answer.json()["error"] == "Serveur complet (150/140 bots actifs). Réessaie dans quelques minutes."
    expect(page.locator(".st-key-status").first).to_contain_text("150 / 140", timeout=TICK_MS)
    page.get_by_role("button", name="Undo").click()
    all_the_same = page.get_by_role("button", name="Undo all the same")
    restored = page.locator(".st-key-status").filter(has_text="150 / 200")
    expect(all_the_same.or_(restored).first).to_be_visible(timeout=2 * TICK_MS)
    if all_the_same.is_visible():  # a busy machine: the CPU guard holds the raise back
        all_the_same.click()
    expect(restored.first).to_be_visible(timeout=2 * TICK_MS)
    limits = console.admin("GET", "limits").json()["limits"]
    assert next(one for one in limits if one["name"] == "MAX_CONCURRENT_BOTS")["value"] == 200
    page.context.close()


def test_of_two_browsers_the_second_sees_the_conflict(chromium: Browser, console: Console) -> None:
    first, second = open_browser(chromium, console), open_browser(chromium, console)
    for page in (first, second):
        visit(page, console, "limits")
    propose(second, "MAX_TRADES_PER_DAY", 700)
    propose(first, "MAX_TRADES_PER_DAY", 600)
    apply(first, "the first")
    box = second.get_by_label("Reason")
    box.fill("the second")
    box.press("Tab")
    settle(second)
    second.get_by_role("button", name="Apply").click()
    expect(second.get_by_text("“the first”").first).to_be_visible(timeout=20_000)
    second.get_by_role("button", name="Reload").click()
    expect(field(second, "MAX_TRADES_PER_DAY").first).to_have_value("600", timeout=20_000)
    for page in (first, second):
        page.context.close()


def test_typing_survives_the_ticks(chromium: Browser, console: Console) -> None:
    page = open_browser(chromium, console)
    visit(page, console, "limits")
    box = field(page, "MAX_TOKENS_PER_MINUTE")
    box.click()
    box.fill("1234")
    page.wait_for_timeout(6_500)
    expect(box).to_be_focused()
    expect(box).to_have_value("1234")
    page.context.close()


def test_a_key_that_may_only_read_is_offered_no_change_and_gets_403(chromium: Browser, console: Console) -> None:
    key = console.admin("POST", "keys", scope="admin:read", name="viewer").json()["key"]
    assert console.admin("PATCH", "limits", key, changes={"MAX_TRADES_PER_DAY": 1}, reason="no").status_code == 403
    page = open_browser(chromium, console, key)
    for path, forbidden in (("limits", "Preview"), ("settings?tab=keys", "Make"), ("launch?tab=plan", "Save the plan")):
        visit(page, console, path)
        expect(page.get_by_role("button", name=forbidden)).to_have_count(0)
    page.context.close()


# -- what is seen stays


def row(page: Page, n: int, x: int) -> None:
    """Click on the n-th row of the table (0: the first), so many px from its left edge. It is a canvas."""
    box = page.locator("[data-testid=stDataFrame] canvas").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + x, box["y"] + 36 + 35 * n + 17)
    settle(page)


def test_ticked_sessions_are_told_of_their_end_and_a_click_on_a_row_opens_the_drawer(
    chromium: Browser, console: Console
) -> None:
    page = open_browser(chromium, console)
    visit(page, console, "sessions")
    for n in (0, 1):
        row(page, n, 15)
    expect(page.get_by_text("2 sessions ticked")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Stop…").click()
    within = page.get_by_role("spinbutton", name="In how many seconds").first
    within.fill("900")
    within.press("Tab")
    page.get_by_label("Reason").last.fill("browser test")
    page.get_by_label("Reason").last.press("Tab")
    settle(page)
    page.get_by_role("button", name="Stop 2 sessions · in 15 min").click()
    expect(page.get_by_text("2 sessions end at").first).to_be_visible(timeout=20_000)
    held = console.admin("GET", "sessions?status=active&limit=3").json()["items"]
    assert [bool(one["notice"]) for one in held] == [True, True, False]
    settle(page)  # what is told above the table moves it
    row(page, 1, 150)
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text(held[1]["public_id"], timeout=20_000)
    expect(drawer).to_contain_text("browser test")
    why = drawer.get_by_label("Reason").first
    why.fill("it stays")
    why.press("Tab")
    settle(page)
    drawer.get_by_role("button", name="Take the stop back").click()
    expect(drawer).to_have_count(0, timeout=20_000)
    expect(page.get_by_text("The stop is taken back.").first).to_be_visible()
    held = console.admin("GET", "sessions?status=active&limit=3").json()["items"]
    assert [bool(one["notice"]) for one in held] == [True, False, False]
    console.admin("DELETE", "sessions/stop", public_ids=[held[0]["public_id"]], reason="as was")
    page.context.close()


def test_the_url_holds_the_view(chromium: Browser, console: Console) -> None:
    page = open_browser(chromium, console)
    visit(page, console, "history?range=7d&lang=fr&tz=UTC")
    expect(page.get_by_role("heading", name="Historique de capacité")).to_be_visible()
    expect(page.get_by_role("radio", name="7 j")).to_be_checked()
    page.reload()
    expect(page.get_by_role("heading", name="Historique de capacité")).to_be_visible(timeout=20_000)
    assert "range=7d" in page.url and "tz=UTC" in page.url
    page.get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("Places comptées")).to_be_visible(timeout=20_000)
    expect(page).to_have_url(re.compile(r"sessions\?lang=fr&tz=UTC$"))  # what every page is seen in, and nothing else
    page.go_back()
    expect(page).to_have_url(re.compile(r"history\?range=7d&lang=fr&tz=UTC$"), timeout=15_000)
    expect(page.get_by_role("radio", name="7 j")).to_be_checked(timeout=15_000)
    page.context.close()


def test_a_drag_zooms_and_back_undoes_it(chromium: Browser, console: Console) -> None:
    page = open_browser(chromium, console)
    visit(page, console, "history?range=1h")
    chart = page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first
    expect(chart).to_be_visible(timeout=20_000)
    area = chart.bounding_box()
    assert area is not None
    y = area["y"] + area["height"] * 0.4
    page.mouse.move(area["x"] + area["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.6, y, steps=8)
    page.mouse.up()
    page.wait_for_url(re.compile(r"from=.*to="), timeout=15_000)
    expect(page.get_by_role("button", name="Back to now")).to_be_visible(timeout=15_000)
    page.go_back()
    expect(page).to_have_url(re.compile(r"range=1h$"), timeout=15_000)
    expect(page.get_by_role("button", name="Back to now")).to_have_count(0, timeout=15_000)
    page.context.close()


def click_on_a_chart(page: Page, place: int, x: float, y: float) -> Locator:
    """On that chart of the page, at these shares of its width and height; the drawer that opens."""
    chart = page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").nth(place)
    drawer = page.get_by_role("dialog")
    for _ in range(4):  # a click on a chart that is being drawn anew is nobody's
        expect(chart).to_be_visible(timeout=20_000)
        settle(page)
        with contextlib.suppress(AssertionError, BrowserError):
            area = chart.bounding_box()
            assert area is not None
            chart.click(position={"x": x * area["width"], "y": y * area["height"]}, timeout=5_000)
            expect(drawer).to_be_visible(timeout=8_000)
            break
    expect(drawer.get_by_text(re.compile("slots were held"))).to_be_visible(timeout=15_000)
    return drawer


def test_a_click_on_a_chart_opens_who_held_which_slot_and_why_one_was_refused(
    chromium: Browser, console: Console
) -> None:
    def in_the_history() -> int:
        with contextlib.closing(sqlite3.connect(console.folder / "limiter.db")) as file:
            return int(file.execute("SELECT coalesce(sum(n), 0) FROM refusal_counts").fetchone()[0])

    before = in_the_history()
    # Whatever tests before left: a bots key was made, this user's bot holds a slot, or the server is full.
    headers = {"Authorization": f"Bearer {console.key}", "Accept-Language": "en"}
    asked_for = {"user_id": "u0", "bot_id": "second"}
    said = console.http.post("/api/bots/start", json=asked_for, headers=headers).json()
    told, sentence = said["request_id"], said["detail"]
    wait_until(lambda: in_the_history() > before, 15, "the sample after the refusal")
    page = open_browser(chromium, console)
    visit(page, console, "history?range=1h&live=false")
    for closed in (lambda: page.keyboard.press("Escape"), page.go_back):  # the same click counts again after each
        drawer = click_on_a_chart(page, 0, 0.95, 0.5)
        expect(drawer.get_by_text("150 of 200 slots were held")).to_be_visible()
        asked = re.search(r"then=(\d+)", page.url)
        assert asked is not None and time.time() * 1000 - int(asked[1]) < 3_600_000
        closed()
        expect(drawer).to_have_count(0, timeout=15_000)
        expect(page).to_have_url(re.compile(r"live=false$"))
    drawer = click_on_a_chart(page, 1, 0.985, 0.7)  # the newest bar is at the edge; others may have been refused before
    expect(drawer.get_by_text(sentence)).to_be_visible(timeout=15_000)
    assert f"why={told}" in page.url
    drawer.get_by_role("button", name="Capacity history around it").click()
    page.wait_for_url(re.compile(r"from=.*at=\d+"), timeout=15_000)
    visit(page, console, "?live=false")
    expect(click_on_a_chart(page, 1, 0.95, 0.5).get_by_text("150 of 200 slots were held")).to_be_visible()
    page.context.close()


def click_on_the_map(page: Page, until: re.Pattern[str]) -> None:
    """Its middle, a weekday about noon, until the URL says so: a click on a chart being drawn anew is nobody's."""
    chart = page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first
    for _ in range(4):
        expect(chart).to_be_visible(timeout=20_000)
        settle(page)
        chart.click()
        with contextlib.suppress(BrowserTimeout):
            page.wait_for_url(until, timeout=25_000)  # a second click would undo one that is only late
            return
    expect(page).to_have_url(until)


def test_a_click_on_an_hour_of_the_week_filters_until_back_its_chip_or_a_second_click(
    chromium: Browser, tmp_path: Path
) -> None:
    now = int(time.time() * 1000)
    demo.fill(f"sqlite:///{tmp_path / 'limiter.db'}", config.read({}), seed=1, weeks=1, until=now, bots=50)
    with running(tmp_path) as console:
        page = open_browser(chromium, console)
        visit(page, console, "usage?days=7")
        chip = page.get_by_role("button", name=re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d+ h"))
        again = functools.partial(click_on_the_map, page, re.compile(r"usage(\?days=7)?$"))
        for undo in (page.go_back, chip.click, again):
            click_on_the_map(page, re.compile(r"cell=[a-z]{3}-\d+"))
            expect(chip).to_be_visible(timeout=15_000)
            expect(page.get_by_role("heading", name="Starts, week by week")).to_be_visible(timeout=15_000)
            undo()
            expect(chip).to_have_count(0, timeout=15_000)
            assert "cell=" not in page.url
        lengths_lead_to_their_sessions(page)
        legends_stay_whole(page, console)
        a_proposal_is_one_step_of_back(page, console)
        visit(page, console, "alerts?live=false")
        expect(click_on_a_chart(page, 0, 0.93, 0.3)).to_be_visible()  # one of the last days
        assert "then=" in page.url
        page.context.close()


OUT_OF_SIGHT = """() => [...document.querySelectorAll('.role-legend-label text')].filter(name => {
    const [a, b] = [name, name.closest('svg')].map(one => one.getBoundingClientRect());
    return a.top < b.top - 1 || a.right > b.right + 1 || a.bottom > b.bottom;
}).map(name => name.textContent)"""


def legends_stay_whole(page: Page, console: Console) -> None:
    """Each name is within its chart, also where the page is made wider or narrower once it is drawn."""
    visit(page, console, "usage?days=7&lang=fr&live=false")
    names = page.locator(".role-legend-label text")
    expect(names.first).to_be_visible(timeout=20_000)
    before = page.viewport_size
    assert before is not None
    for width in (390, 1280, 1100, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        settle(page)
        assert names.count() > 1 and page.evaluate(OUT_OF_SIGHT) == [], width
    page.set_viewport_size(before)


def a_proposal_is_one_step_of_back(page: Page, console: Console) -> None:
    """What the box carries, of bots as heavy as the one that runs, is previewed as the limit."""
    session = console.http.post("/api/bots/start", json={"user_id": "measured"}).json()["session"]["session_id"]
    measured = {"session_id": session, "memory_bytes": 59 * 1024**2}
    console.http.post("/api/bots/heartbeat", json=measured).raise_for_status()
    visit(page, console, "sizing?live=false")
    before = page.url
    page.get_by_role("link", name=re.compile(r"Preview \d+ slots")).click()
    expect(page).to_have_url(re.compile(r"limits\?.*propose=\d+"), timeout=15_000)
    expect(page.get_by_role("heading", name="Preview")).to_be_visible(timeout=20_000)
    page.go_back()
    expect(page).to_have_url(before, timeout=15_000)
    expect(page.get_by_role("heading", name="Sizing")).to_be_visible(timeout=20_000)


def lengths_lead_to_their_sessions(page: Page) -> None:
    """From the usage page: the longest bar is clicked, and opens its sessions beside it; all of them are a link away,
    in a list that is widened by the keyboard. Each is one step of Back."""
    page.goto(page.url)  # what was clicked before is no step of it
    before, drawer = page.url, page.get_by_role("dialog")
    chart = page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").nth(1)
    for _ in range(4):  # a click on a chart that is being drawn anew is nobody's
        settle(page)
        chart.click(position={"x": 170, "y": 125})
        with contextlib.suppress(AssertionError):
            expect(drawer).to_be_visible(timeout=10_000)
            break
    beside = page.url
    assert re.search(r"[?&]stay=\d+-\d*$", beside)
    all_of_them = drawer.get_by_role("link", name="All such sessions")
    chosen = re.compile(r"sessions\?view=ended&stay=\d+-\d*$")
    all_of_them.click()
    expect(page).to_have_url(chosen, timeout=15_000)
    for url, open_drawers in ((beside, 1), (before, 0)):
        page.go_back()
        expect(page).to_have_url(url, timeout=15_000)
        expect(drawer).to_have_count(open_drawers, timeout=15_000)
    page.go_forward()
    all_of_them.click()
    expect(page).to_have_url(chosen, timeout=15_000)
    expect(page.get_by_text("Of the newest 50,000 sessions.")).to_be_visible(timeout=20_000)
    lasted = page.get_by_role("combobox", name="Lasted")
    lasted.press("ArrowDown")
    lasted.press("Home")
    lasted.press("Enter")
    page.wait_for_url(re.compile(r"sessions\?view=ended$"), timeout=15_000)
    expect(page.get_by_text("Of the newest")).to_have_count(0, timeout=15_000)


def test_the_csv_is_the_chart(chromium: Browser, console: Console) -> None:
    page = open_browser(chromium, console)
    visit(page, console, "history?range=1h&live=false")
    rows = page.get_by_role("button", name=re.compile(r"\d+ rows?$"))
    expect(rows).to_be_visible(timeout=20_000)
    settle(page)  # until it is drawn, the nearest is another's
    beside = rows.locator("xpath=ancestor::div[.//p[text()='CSV']][1]")  # who held which slot has a CSV of its own
    with page.expect_download() as taken:
        beside.get_by_role("button", name="CSV", exact=True).click()
    text = Path(taken.value.path()).read_text()
    table = list(csv.DictReader(text.splitlines()))
    shown = re.search(r"(\d+) row", rows.inner_text())
    assert shown is not None and len(table) == int(shown[1])
    assert table[-1]["limit"] == "200" and int(table[-1]["bots_max"]) >= 150
    with page.expect_download() as taken:
        beside.get_by_role("button", name="JSON", exact=True).click()
    assert len(json.loads(Path(taken.value.path()).read_text())) == len(table)
    page.context.close()


# -- looks


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_on_a_phone_does_not_scroll_sideways_and_is_clean(
    chromium: Browser, console: Console, theme: str
) -> None:
    phone = {"width": 390, "height": 844}
    page = open_browser(chromium, console, viewport=phone, color_scheme=theme)
    for path in PAGES:
        visit(page, console, path)
        page.wait_for_timeout(1_500)
        wider = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
        assert wider <= 0, path
        found = Axe().run(page).response["violations"]
        serious = {
            one["id"]: [node["target"] for node in one["nodes"]][:3] for one in found if one["id"] not in KNOWN_AXE
        }
        assert not serious, (path, serious)
    page.context.close()


CUT = """where => [...document.querySelectorAll(`[data-testid=${where}] *`)].filter(
  e => getComputedStyle(e).textOverflow === 'ellipsis' && e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"""
# Of the page on a phone: labels that may not wrap, links pushed away from their texts, a card left alone in a row.
AMISS = """() => {
  const all = (where, from = document) => [...from.querySelectorAll('[data-testid=stMain] ' + where)];
  const labels = all('[data-testid=stMetricLabel] *').filter(e => getComputedStyle(e).whiteSpace === 'nowrap');
  const pushed = all('[class*=st-key-to-do] [data-testid=stHorizontalBlock]').filter(
    row => row.lastChild.getBoundingClientRect().top > row.firstChild.getBoundingClientRect().bottom);
  const alone = all('[data-testid=stGrid] > :last-child:nth-child(odd)').filter(
    last => last.getBoundingClientRect().width < last.parentElement.getBoundingClientRect().width - 1);
  return [...labels, ...pushed, ...alone].map(e => e.innerText);
}"""


def test_a_french_page_has_no_english_left_and_nothing_is_cut_off_on_a_phone(
    chromium: Browser, console: Console
) -> None:
    english = {text for text in [*said(), *plurals().values()] if "{" not in text and " " in text and len(text) > 8}
    page = open_browser(chromium, console, locale="fr-FR")
    errors: list[str] = []
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    for path in (
        *PAGES,
        "limits?tab=users",
        "limits?tab=history",
        "launch?tab=plan",
        "launch?tab=drills",
        "settings?tab=box",
    ):
        visit(page, console, path)
        page.wait_for_timeout(1_000)
        text = page.locator("body").inner_text()
        assert not {one for one in english if re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text)}, path
        assert page.evaluate(CUT, "stSidebar") == [], path
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_timeout(300)
        assert page.evaluate(CUT, "stMain") == [], path
        assert page.evaluate(AMISS) == [], path
        page.set_viewport_size({"width": 1440, "height": 900})
    # Streamlit's page has one line of script within itself, and asks a deep link for its health to find its base.
    assert not [one for one in errors if "inline script" not in one and "404" not in one], errors
    assert page.outside == []  # type: ignore[attr-defined]
    page.context.close()


# -- faults


def test_a_limiter_that_hangs_is_an_error_bar_and_one_that_dies_comes_back(chromium: Browser, tmp_path: Path) -> None:
    with running(tmp_path, BOT_LEASE_SECONDS=86_400) as console:
        console.start_bots(3)
        page = open_browser(chromium, console)
        pid = int(json.loads((tmp_path / "limiter.db.lock").read_text())["pid"])
        os.kill(pid, signal.SIGSTOP)
        try:
            expect(page.locator(".st-key-no-answer")).to_be_visible(timeout=3 * TICK_MS)
            expect(page.locator(".st-key-status").first).to_contain_text("3 / 200")  # the last that was known
            expect(page.locator(".st-key-status").first).to_contain_text("stale", timeout=4 * TICK_MS)
        finally:
            os.kill(pid, signal.SIGCONT)
        expect(page.locator(".st-key-no-answer")).to_have_count(0, timeout=30_000)
        os.kill(pid, signal.SIGKILL)  # the console starts it again
        page.wait_for_timeout(8_000)
        expect(page.locator(".st-key-no-answer")).to_have_count(0, timeout=30_000)
        expect(page.locator(".st-key-status").first).not_to_contain_text("stale", timeout=4 * TICK_MS)
        page.context.close()
