"""What every page stands in: sign-in check, language and zone, the live header, error cards, figures, lists.

Promises: `begin` stops a run that nobody is signed in for, by the same check as the gate; an error is shown as a card
with an id and a retry, its details in the log only. What came from outside is escaped where markup is made.
"""

import functools
import html
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from limiter.client import Refused
from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.words import LANGUAGES, Language, language, lasting, number, percent, t, tn
from limiter.console.sign_in.sign_ins import SIGN_INS, SignIn, cookie_name
from limiter.rules.capacity import Capacity
from limiter.store import read

TICK_SECONDS = 5
ICONS = {"LOW": "○", "HEALTHY": "✓", "WARNING": "⚠", "FULL": "⛔"}
STYLE = Path(__file__).with_name("style.css")
FAVICON = Path(__file__).with_name("favicon.png")

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
    return "fr" if found == "fr" or (found != "en" and data.settings()["LIMITER_LANG"] == "fr") else "en"


def choose_view() -> None:
    """Language and zone: as the URL says, else as the browser does. Their widgets are drawn further down."""
    asked = st.session_state.get("lang") or st.query_params.get("lang")
    st.session_state["language"] = asked if asked in LANGUAGES else spoken()
    zone = st.session_state.get("tz") or st.query_params.get("tz")
    zones = times.zones()
    st.session_state["zone"] = ZoneInfo(zone if zone in zones else zones[0])


def page_setup(title: str) -> None:
    """Title, favicon, look. The icon is a file: a named one would be fetched from another host."""
    st.set_page_config(title, page_icon=str(FAVICON), layout="wide", initial_sidebar_state="auto")
    st.html(STYLE)


def header(sign_in: SignIn) -> None:
    """The line above every page: figures that follow every 5 s, and what the view is seen in."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="header"):
        with st.container(width="stretch"):
            place = st.container()
        running = st.toggle("Live", value=True, key="live", bind="query-params", help=t("Follow every 5 seconds"))
        with st.popover(f"{language().upper()} · {times.zone()}", icon=":material/language:"):
            chosen = st.segmented_control(
                "Langue · Language", LANGUAGES, default=spoken(), required=True, key="lang", bind="query-params"
            )
            zone = st.radio(t("Time zone"), times.zones(), key="tz", bind="query-params")
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
        st.html(f"<div class='lim-alert' role='status'>⛔ {html.escape(str(now.error))}</div>")
    if now.stats is None:
        return
    capacity = now.stats.capacity
    newest = data.read(read.history.newest)
    sample_age = (times.now() - newest.at) / 1000 if newest is not None else None
    badge = status_badge(capacity.status)
    slots = t(
        "Active Bots: {current} / {limit} slots ({percent})",
        current=number(capacity.current_bots),
        limit=number(capacity.max_bots),
        percent=percent(capacity.percent_used),
    )
    free = t("{n} free", n=number(capacity.available_slots))
    at = times.clock(times.now() - round(now.age_seconds * 1000))
    seen = t("updated {time}", time=at)
    stale = sample_age is not None and sample_age > data.STALE_SECONDS
    if stale or now.stale:
        said = t("stale: last sample {age} ago", age=lasting(max(sample_age or 0.0, now.age_seconds)))
        tail = f"<span class='lim-badge lim-FULL' role='status'>⚠ {html.escape(said)}</span>"
    else:
        age = f" ({lasting(sample_age)})" if sample_age is not None else ""
        tail = f"<small class='lim-num'>{html.escape(seen + age)}</small>"
    if not capacity.can_accept_new and capacity.status != "FULL":
        tail = f"<span class='lim-badge lim-FULL'>⏸ {html.escape(t('starts are paused'))}</span>" + tail
    if waiting := len(data.read(read.incidents.unattended)):
        said = tn("{n} open alert", "{n} open alerts", waiting)
        tail = f"<a class='lim-badge lim-FULL' href='/admin/alerts' target='_self'>🔔 {html.escape(said)}</a>" + tail
    st.html(
        f"<div class='lim-status'>{badge}"
        f"<span class='lim-num'><b>{html.escape(slots)}</b> · {html.escape(free)}</span>{tail}</div>"
    )


def live(seconds: float | None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Draw alone, again every so many seconds (None: never), with errors as cards. Only at the top level of a page."""

    def decorate(draw: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(draw)
        def guarded(*args: Any) -> None:
            if SIGN_INS.find(cookie()) is None:
                st.rerun()
            guard(functools.partial(draw, *args))

        fragment: Callable[..., None] = st.fragment(run_every=seconds)(guarded)
        return fragment

    return decorate


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
            st.write(str(error) if isinstance(error, Refused) else t("The details are in the console's log."))
            st.caption(t("Error {id}", id=name))
            st.button(t("Retry"), key=f"retry-{name}", icon=":material/refresh:")


# -- pieces


@dataclass(frozen=True, slots=True)
class Card:
    """A large figure with its label and the one line that gives it meaning; `tone` "said" or "bad" marks it."""

    label: str
    figure: str
    meaning: str = ""
    tone: str = ""


def cards(shown: Iterable[Card]) -> None:
    """A row of figures, two to a row on a phone."""
    cells = [
        f"<div class='lim-card{' lim-' + card.tone if card.tone else ''}'><div>{html.escape(card.label)}</div>"
        f"<strong>{html.escape(card.figure)}</strong><div>{html.escape(card.meaning) or '&nbsp;'}</div></div>"
        for card in shown
    ]
    st.html(f"<div class='lim-cards'>{''.join(cells)}</div>")


def status_badge(status: str) -> str:
    """The status as icon and word on its tint: markup."""
    return f"<span class='lim-badge lim-{html.escape(status)}'>{ICONS.get(status, '')} {html.escape(status)}</span>"


def facts(rows: Iterable[tuple[str, Any]]) -> None:
    """Names with their values, one below the other."""
    lines = []
    for name, value in rows:
        text = times.when(round(value.timestamp() * 1000)) if isinstance(value, datetime) else str(value)
        lines.append(
            f"<li><time style='min-width:9rem'>{html.escape(name)}</time><span>{html.escape(text)}</span></li>"
        )
    st.html(f"<ul class='lim-list'>{''.join(lines)}</ul>")


def timeline(entries: Sequence[tuple[int, str]]) -> None:
    """Instants with what happened, in the order given."""
    rows = [
        f"<li><time>{html.escape(times.when(at))}</time><span>{html.escape(text)}</span></li>" for at, text in entries
    ]
    st.html(f"<ul class='lim-list'>{''.join(rows)}</ul>")


def capacity_bar(capacity: Capacity, comfort: int | None, threshold: float) -> None:
    """Slots taken on the scale of the four statuses, with the alert threshold and what the box carries comfortably."""
    reach = max(capacity.maximum, capacity.current, 1)
    near = comfort if comfort and comfort <= 1.5 * reach else 0  # one far beyond would squeeze what matters
    top = max(reach, near) * 1.04

    def share(bots: float) -> str:
        return f"{100 * bots / top:.2f}%"

    limit = capacity.maximum
    bands = ((0.5, "low"), (0.3, "healthy"), (0.2, "warning"))
    tints = "".join(f"<i style='width:{share(limit * part)};background:var(--{name})'></i>" for part, name in bands)
    tints += "<i style='flex:1;background:var(--full)'></i>"
    marks = [(0.0, "lim-first", "0", ""), (limit * 0.5, "", number(limit * 0.5), percent(50, 0))]
    if limit * 0.2 >= top * 0.12:  # else they would stand one on the other on a phone
        marks.append((limit * 0.8, "", number(limit * 0.8), percent(80, 0)))
    marks.append((limit, "lim-last", number(limit), percent(100, 0)))
    if limit == 0:
        marks = marks[-1:]
    scale = "".join(
        f"<span class='{kind}' style='left:{share(at)}'>{html.escape(text)}<em>{html.escape(below)}</em></span>"
        for at, kind, text, below in marks
    )
    line = f"<i class='lim-comfort' style='left:{share(near)}'></i>" if near else ""
    said = t("{current} of {limit} slots taken", current=number(capacity.current), limit=number(limit))
    below = []
    if comfort:
        said_of_box = t("dotted: {n} bots, what this box carries comfortably", n=number(comfort))
        below.append(said_of_box if near else t("this box carries {n} bots comfortably", n=number(comfort)))
    below.append(t("alert from {percent}", percent=percent(threshold, 0)))
    dark = " lim-dark" if is_dark() else ""
    st.html(
        f"<div class='lim-bar{dark}' role='img' aria-label='{html.escape(said, quote=True)}'>"
        f"<div class='lim-scale'>{tints}"
        f"<div class='lim-fill' style='width:{share(capacity.current)}'></div>{line}</div>"
        f"<div class='lim-marks'>{scale}</div>"
        f"<div class='lim-quiet'>{html.escape(' · '.join(below))}</div></div>"
    )


def is_dark() -> bool:
    """Whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"


def receipt(text: str, *, good: bool = True) -> None:
    """Say once, at the next run, what an action did."""
    st.session_state.setdefault("receipts", []).append((time.time(), text, good))


def show_receipts() -> None:
    """What actions of the run before have to say."""
    for _, text, good in st.session_state.pop("receipts", []):
        st.toast(text, icon=":material/check:" if good else ":material/error:", duration="long")
        if not good:
            st.error(text)
