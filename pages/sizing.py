"""Is this limit, this box, this lease right?"""

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from limiter.client import Refused
from limiter.console import data, frame
from limiter.console.kit import url_widgets
from limiter.console.kit.words import percent, t, tn
from limiter.console.parts import box, forecast, lease, moment, sizing
from limiter.store import read

sign_in = frame.begin()


def unless_refused(draw: Callable[..., None]) -> Callable[..., None]:
    """Draw what the limiter answers, or say what it says where it does not."""

    @functools.wraps(draw)
    def guarded(*args: Any) -> None:
        try:
            draw(*args)
        except Refused as refused:
            st.warning(str(refused))

    return guarded


SHARES = {"0.001": percent(0.1), "0.01": percent(1, 0), "0.05": percent(5, 0)}

limits = data.read(read.limits.read)
st.title(t("Sizing"), anchor=False)
st.caption(t("What to decide, from what really happened here. Each answer says how far to trust it."))
if limits is None:
    st.info(t("The limiter has not started on this database yet: it writes the limits at its first start."))
    st.stop()
assert limits is not None
limit = limits.whole("MAX_CONCURRENT_BOTS")
with st.container(border=True):
    st.header(t("When will we be full?"), anchor=False)
    frame.live(height=380)(forecast.show)(sign_in)
with st.container(border=True):
    asked = tn("How many slots do we need? Is {n} enough?", "How many slots do we need? Are {n} enough?", limit)
    st.header(asked, anchor=False)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        users = url_widgets.whole(t("Users"), "users", 1, 1_000_000, placeholder=t("as many as now"), width=230)
        with st.container(width="content"):
            st.caption(t("Refused at first, at most"))
            share = float(url_widgets.tabs(t("Refused at first, at most"), "share", SHARES, "0.01"))
    frame.live(height=520)(unless_refused(sizing.slots))(sign_in, share, users)
with st.container(border=True):
    st.header(t("What did the last four weeks lose?"), anchor=False)
    frame.live(height=340)(unless_refused(sizing.lost))(sign_in)
with st.container(border=True):
    st.header(t("What does this box carry, and which VPS is next?"), anchor=False)
    frame.live(height=320)(unless_refused(box.decide))(sign_in)
with st.container(border=True):
    st.header(t("How long should a lease be?"), anchor=False)
    frame.live(height=320)(unless_refused(lease.show))(sign_in)
moment.drawer(sign_in)
