"""What every page stands in: sign-in check, language and zone, the live header, error cards.

Promises: `begin` stops a run that nobody is signed in for, by the same check as the gate; an error is shown as a card
with an id and a retry, its details in the log only.
"""

import contextlib
import functools
import html
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from limiter.answers.capacity import StatsAnswer
from limiter.client import Refused
from limiter.console import data
from limiter.console.catalog import LANGUAGES, Language
from limiter.console.kit import times
from limiter.console.kit.cards import status_badge
from limiter.console.kit.words import lasting, number, percent, t, tn
from limiter.console.sign_in.sign_ins import SIGN_INS, SignIn, cookie_name
from limiter.store import read
from limiter.store.location import StoreError

TICK_SECONDS = 5
SIDEBAR_PX = 240  # its longest title fits, and the header stands in one row at 1280 px; hidden on a phone
STYLE = Path(__file__).with_name("style.css")
FAVICON = Path(__file__).with_name("favicon.png")

UNREADABLE = (StoreError, SQLAlchemyError)  # what a database has against being read

log = logging.getLogger("limiter.console")


def cookie() -> str | None:
    """The sign-in cookie that the websocket was opened with."""
    return st.context.cookies.get(cookie_name(st.context.headers.get("host") or ""))


def begin() -> SignIn:
    """Who is signed in; where nobody is, the run ends here with a way to sign in."""
    sign_in = SIGN_INS.find(cookie())
    if sign_in is None:
        st.html(
            f"<p>{html.escape(t('You are signed out.'))}"
            f" <a href='/admin/sign-in' target='_self'>{html.escape(t('Sign in'))}</a></p>"
        )
        st.stop()
    return sign_in


def spoken() -> Language:
    """What the browser speaks, else LIMITER_LANG."""
    found = (st.context.locale or "")[:2].lower()
    return "fr" if found == "fr" or (found != "en" and data.settings().lang == "fr") else "en"


def choose_view() -> None:
    """Language and zone: as the URL says, else as the browser does. Their widgets are drawn further down."""
    asked = st.session_state.get("lang") or st.query_params.get("lang")
    st.session_state["language"] = asked if asked in LANGUAGES else spoken()
    zone = st.session_state.get("tz") or st.query_params.get("tz")
    zones = times.zones()
    st.session_state["zone"] = ZoneInfo(zone if zone in zones else zones[0])


def page_setup(title: str) -> None:
    """Title, favicon, look. The icon is a file: a named one would be fetched from another host."""
    st.set_page_config(title, page_icon=str(FAVICON), layout="wide", initial_sidebar_state=SIDEBAR_PX)
    st.html(STYLE)


def header(sign_in: SignIn) -> None:
    """The line above every page: figures that follow every 5 s, and what the view is seen in."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="header"):
        with st.container(width="stretch"):
            place = st.container()
        running = st.toggle(t("Live"), value=True, key="live", bind="query-params", help=t("Follow every 5 seconds"))
    # Not behind a popover: what is not in the page when another page is opened leaves the URL (Streamlit 1.67).
    with st.sidebar:
        chosen = st.segmented_control(
            "Langue · Language", LANGUAGES, default=spoken(), required=True, key="lang", bind="query-params",
            label_visibility="collapsed",
        )  # fmt: skip
        zone = st.selectbox(t("Time zone"), times.zones(), key="tz", bind="query-params")
    st.session_state["language"] = chosen
    st.session_state["zone"] = ZoneInfo(zone)
    with place:
        live(TICK_SECONDS if running else None)(figures)(sign_in)
    with st.sidebar:
        st.caption(
            t("Signed in with key {name}", name=sign_in.name) + ("" if sign_in.may_change else " · " + t("read only"))
        )
        st.button(
            t("Sign out"),
            key="sign_out",
            icon=":material/logout:",
            type="tertiary",
            on_click=SIGN_INS.close,
            args=(sign_in,),
        )


def figures(sign_in: SignIn) -> None:
    """The header's own figures."""
    try:
        now = data.live(sign_in)
    except Refused as refused:
        if refused.status == 401:
            SIGN_INS.close(sign_in)
            st.rerun()
        raise
    if now.error is not None:
        with st.container(key="no-answer"):
            st.error(str(now.error), icon=":material/cloud_off:")
    if now.stats is None:
        return
    if not now.stats.storage_available:
        no_start(sign_in)
    capacity = now.stats.capacity
    newest, waiting = None, 0
    with contextlib.suppress(*UNREADABLE):  # what the limiter says itself is shown all the same
        newest, waiting = data.read(read.history.newest), len(data.read(read.incidents.unattended))
    age = max(now.age_seconds, (times.now() - newest.at) / 1000 if newest is not None else 0.0)
    stale = now.stale or age > data.STALE_SECONDS
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="status"):
        status_badge(capacity.status)
        slots = t(
            "Active Bots: {current} / {limit} slots ({percent})",
            current=number(capacity.current_bots),
            limit=number(capacity.max_bots),
            percent=percent(capacity.percent_used),
        )
        free = tn("{n} free", "{n} free", max(0, capacity.available_slots))
        if capacity.available_slots < 0:
            free = t("{n} above the limit", n=number(-capacity.available_slots))
        st.markdown(f"**{slots}** · {free}", width="content")
        if waiting:
            said = tn("{n} open alert", "{n} open alerts", waiting)
            st.page_link("alerts.py", label=said, icon=":material/notifications_active:", width="content")
        if shut := why_shut(now.stats):
            st.badge(shut[0], icon=shut[1], color="red" if shut[2] else "orange")
        if stale:
            st.badge(t("stale: last sample {age} ago", age=lasting(age)), icon=":material/warning:", color="red")
        else:
            seen = t("updated {time}", time=times.clock(times.now() - round(age * 1000)))
            st.caption(f"{seen} ({lasting(age)})", width="content")


def no_start(sign_in: SignIn) -> None:
    """Why the database takes nothing, and what to do, as the limiter's health says it."""
    detail = t("the database takes nothing: no starts")
    with contextlib.suppress(Refused):
        detail = data.admin(sign_in, data.ASK_SECONDS).health().checks["database"].detail
    st.error(t("No start is admitted. Database: {detail}", detail=detail), icon=":material/database_off:")


def why_shut(stats: StatsAnswer) -> tuple[str, str, bool] | None:
    """Why a new user would not be let in although slots are free: text, icon, and whether it lasts until
    somebody does something.

    None where one would be, and where it is full, which the status says.
    """
    until_then = (
        (not stats.storage_available, t("the database takes nothing: no starts"), ":material/database_off:"),
        (stats.draining, t("a drain goes on: no starts"), ":material/logout:"),
        (stats.paused, t("starts are paused"), ":material/pause:"),
        (
            not stats.limits["MAX_BOTS_PER_USER"],
            t("nobody may start: MAX_BOTS_PER_USER is 0"),
            ":material/person_off:",
        ),
    )
    for holds, said, icon in until_then:
        if holds:
            return said, icon, True
    if stats.capacity.can_accept_new or stats.capacity.status == "FULL":
        return None
    if waiting := stats.queue.waiting:
        said = tn("free slots are for the {n} that waits", "free slots are for the {n} that wait", waiting)
        return said, ":material/hourglass_top:", False
    return t("free slots are held: reserve, burst or busy box"), ":material/hourglass_top:", False


def live(seconds: float | None = None, *, height: int | None = None) -> Callable[..., Callable[..., None]]:
    """Draw alone, again every so many seconds (None: never), with errors as cards. Only at the top level of a page.

    Parts that stand below each other are drawn by one, `live(5)(first, second)(sign_in)`: what Streamlit does around
    each run costs as much as most parts. Where `height` is given, a skeleton so high stands there meanwhile, and the
    rest of the page is not waited for.
    """

    def decorate(*draws: Callable[..., None]) -> Callable[..., None]:
        drawn = False

        @functools.wraps(draws[0])
        def guarded(*args: Any) -> None:
            nonlocal drawn
            if SIGN_INS.find(cookie()) is None:
                st.rerun()
            with meanwhile(height, drawn):
                for draw in draws:
                    with st.container() if len(draws) > 1 else contextlib.nullcontext():  # each keeps its place
                        guard(functools.partial(draw, *args))
            drawn = True

        fragment: Callable[..., None] = st.fragment(run_every=seconds, parallel=height is not None)(guarded)
        return fragment

    return decorate


def meanwhile(height: int | None, drawn: bool) -> contextlib.AbstractContextManager[Any]:
    """What stands there until a part is drawn: a skeleton, and nothing in its place where it was `drawn` before."""
    if height is None:
        return contextlib.nullcontext()
    return contextlib.nullcontext(st.empty()) if drawn else st.skeleton(height=height)


def ticking(seconds: float) -> float | None:
    """So many seconds, or None while Live is off."""
    return seconds if st.session_state.get("live", True) else None


def guard(draw: Callable[[], None]) -> None:
    """Draw, or show the error as a card."""
    try:
        draw()
    except Exception as error:  # whatever a page raises must not take the frame with it
        name = secrets.token_hex(4)
        log.exception("page_failed error_id=%s", name)
        with st.container(border=True):
            st.markdown(f"**{t('This part could not be drawn.')}**")
            st.write(_told(error))
            st.caption(t("Error {id}", id=name))
            st.button(t("Retry"), key=f"retry-{name}", icon=":material/refresh:")


def _told(error: Exception) -> str:
    """What a reader may know of it: the limiter's sentence; of a database no path; else where the details are."""
    if isinstance(error, UNREADABLE):
        return t("The database cannot be read: `limiter doctor` says why.")
    return str(error) if isinstance(error, Refused) else t("The details are in the console's log.")
