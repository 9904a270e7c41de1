"""The time machine: who held which slot at an instant, under which limits, and why a request was refused then."""

from datetime import timedelta

import streamlit as st

from limiter.client import Refused
from limiter.clock import rfc3339
from limiter.console import data
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.words import number, reason_text, t, tn, value_text
from limiter.console.sign_in.sign_ins import SignIn
from limiter.console.view import MINUTE, Span
from limiter.store import read

NAME = "at"
NEAR = 5 * MINUTE
MOST = 20  # refusals to choose from


def pick(span: Span) -> int:
    """The instant that the slider stands on, in the URL as `?at=` (UTC milliseconds); the end of the span at first."""
    asked = st.query_params.get(NAME, "")
    start = int(asked) if asked.isascii() and asked.isdigit() else span.end
    low, high = (times.local(at).replace(tzinfo=None) for at in (span.start, span.end))
    value = min(high, max(low, times.local(min(max(start, span.start), span.end)).replace(tzinfo=None)))
    step = timedelta(seconds=max(1, round(span.length / 1_000 / 600)))
    moved = st.slider(t("Instant"), low, high, value, step, format="DD/MM HH:mm:ss")
    # A slider knows no zones: the wall clock of the run's zone is shown as it is.
    at = round(moved.replace(tzinfo=times.zone()).timestamp() * 1000)
    found = start if moved == value and asked else min(max(at, span.start), span.end)
    if moved != value:
        url_widgets.go({NAME: str(found)})
    return found


def show(sign_in: SignIn, at: int, name: str = "state", why: str | None = None) -> None:
    """What the limiter knows of that instant; `name` tells two of them on a page apart, `why` names a refusal."""
    try:
        answer = data.admin(sign_in).state(rfc3339(min(at, times.now())))
    except Refused as refused:
        st.warning(str(refused))
        return
    limit = answer.limits.get("MAX_CONCURRENT_BOTS") if answer.limits else None
    most = "?" if limit is None else number(limit)
    said = tn(
        "**{n}** of {limit} slots was held", "**{n}** of {limit} slots were held", len(answer.sessions), limit=most
    )
    said += " · " + t("limits version {n}", n="?" if answer.limits_version is None else answer.limits_version)
    st.markdown(said + (" · **" + t("starts were paused") + "**" if answer.paused else ""))
    if answer.needs is not None:
        st.caption(answer.needs)
    rows = [
        {
            t("user"): one.user_id,
            t("bot"): one.bot_id,
            t("started"): times.when(times.millis(one.started_at)),
            "id": one.public_id,
        }
        for one in answer.sessions
    ]
    if why is not None:  # what was clicked comes first
        refusals(sign_in, at, name, why)
    if rows:
        tables.show(rows)
    if answer.limits:
        in_force = [{t("limit"): limit, t("value"): value_text(value)} for limit, value in answer.limits.items()]
        with st.expander(t("Limits of that time")):
            tables.show(in_force)
    if why is None:
        refusals(sign_in, at, name, why)
    with st.container(horizontal=True, gap="small"):
        tables.take_away(answer, name)


def refusals(sign_in: SignIn, at: int, key: str, why: str | None) -> None:
    """The refusals within five minutes, and for the one that is chosen, why and what would have helped."""
    found = data.read(read.refusals.near, at, NEAR, MOST)
    if not found:
        st.caption(t("Nobody was refused within 5 minutes of it."))
        return
    told = ((row.request_id, (times.when(row.at), row.user_id, reason_text(row.reason))) for row in found)
    names = {name: " · ".join(filter(None, of)) for name, of in told}  # of a feed no user is known
    label = tn("{n} refusal within 5 minutes: why?", "{n} refusals within 5 minutes: why?", len(found))
    first = list(names).index(why) if why in names else None
    chosen = st.selectbox(
        label, list(names), first, names.__getitem__, placeholder=t("Choose one"), key=f"why-{key}-{at}"
    )
    if chosen is not None:
        answer = data.admin(sign_in).explain(chosen)
        st.markdown(f"{answer.sentence}  \n{answer.way_out}")
