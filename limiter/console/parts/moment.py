"""A click on a chart opens the instant: who held which slot then, under which limits, why one was refused.

The instant is in the URL, `?then=` (UTC milliseconds) and, where a refusal was clicked, `&why=` (its request id): a
reload or a shared link shows the same, Back closes it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import altair as alt
import streamlit as st

from limiter.clock import rfc3339
from limiter.console import data
from limiter.console.charts.axes import MOMENT
from limiter.console.kit import times
from limiter.console.kit.words import t
from limiter.console.parts import then
from limiter.console.sign_in.sign_ins import SignIn
from limiter.console.view import HOUR, MINUTE
from limiter.store import read

AT, WHY = "then", "why"
Selection = Mapping[str, Any]


def chart(
    drawn: alt.LayerChart,
    key: str,
    alt: str,
    width_ms: int,
    brush: Callable[[Selection], None] | None = None,
) -> None:
    """Draw it; a click on one of its marks, which are `width_ms` wide, opens an instant of that time.

    `brush` is told what else was selected. Only in what is drawn alone (frame.live).
    """
    # A chart of its own after each click: the browser keeps a chart's last click, and the same one again, once the
    # drawer is closed, would be no change to it.
    kept = st.session_state.setdefault(f"clicks-{key}", {"round": 0, "opened": False})
    if kept["opened"]:
        kept["opened"] = False
        st.rerun()  # of the page: the drawer is not this part's
    name = f"{key}-{kept['round']}"

    def selected() -> None:
        selection = st.session_state[name]["selection"]
        if points := selection.get(MOMENT):
            kept["round"], kept["opened"] = kept["round"] + 1, True
            open_at(*instant(points[0], width_ms))
        elif brush is not None:
            brush(selection)

    modes = [MOMENT, "span"] if brush is not None else [MOMENT]
    st.altair_chart(drawn, key=name, on_select=selected, selection_mode=modes, alt=alt)


def instant(mark: Mapping[str, Any], width_ms: int) -> tuple[int, str | None]:
    """What a click on that mark asks for: the refusal, and else the busiest instant of its time."""
    start = int(mark["at"])
    middle = start + width_ms // 2
    if reason := mark.get(WHY):
        found = data.read(read.refusals.near, middle, width_ms // 2, 1, reason)
        if found:
            return found[0].at, found[0].request_id
    # Peaks are kept by the minute: of less, any instant is as good.
    peak = data.load(start, start + width_ms).peak_at if width_ms >= MINUTE else None
    busiest = peak if peak is not None and start <= peak < start + width_ms else middle
    return min(busiest, times.now()), None


def open_at(at: int, why: str | None) -> None:
    """Stand on that instant."""
    # All at once: each change of the URL is one step back.
    st.query_params.update({AT: str(at)} | ({WHY: why} if why is not None else {}))


def close() -> None:
    """Forget the instant."""
    for name in (AT, WHY):
        if name in st.query_params:
            del st.query_params[name]


def drawer(sign_in: SignIn) -> None:
    """The instant that the URL names, beside the page; nothing where it names none. Only at the top level of a page."""
    asked = st.query_params.get(AT, "")
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 14):
        return
    at = min(int(asked), times.now())

    title = f"{t('Who held which slot')} · {times.day(at, weekday=True)} {times.clock(at)}"

    @st.dialog(title, position="right", width="medium", on_dismiss=close)
    def shown() -> None:
        then.show(sign_in, at, "then", st.query_params.get(WHY))
        around = {"from": rfc3339(at - HOUR // 2), "to": rfc3339(at + HOUR // 2), then.NAME: str(at)}
        # No page_link: one that leads to the page it stands on changes nothing in Streamlit 1.67.
        if st.button(t("Capacity history around it"), icon=":material/arrow_forward:", type="tertiary"):
            st.switch_page("history.py", query_params=around)

    shown()
