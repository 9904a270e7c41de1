"""A click on a chart opens the instant: who held which slot then, under which limits, why one was refused.

The instant is in the URL, `?then=` (UTC milliseconds) and, where a refusal was clicked, `&why=` (its request id): a
reload or a shared link shows the same, Back closes it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt
import streamlit as st

from limiter.clock import rfc3339
from limiter.console import data
from limiter.console.charts.axes import MOMENT
from limiter.console.kit import times, url_widgets
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

    def opened(selection: Selection) -> bool:
        if points := selection.get(MOMENT):
            open_at(*instant(points[0], width_ms))
        elif brush is not None:
            brush(selection)
        return bool(points)

    selectable(drawn, key, alt, [MOMENT] if brush is None else [MOMENT, "span"], opened)


def selectable(
    drawn: alt.LayerChart, key: str, alt: str, modes: Sequence[str], opened: Callable[[Selection], bool]
) -> None:
    """Draw it; `opened` is told what was selected, and says whether a drawer opens for it. Only in what is drawn alone
    (frame.live)."""
    # A chart of its own after each click: the browser keeps a chart's last click, and the same one again, once the
    # drawer is closed, would be no change to it.
    kept = st.session_state.setdefault(f"clicks-{key}", {"round": 0, "opened": False})
    if kept["opened"]:
        kept["opened"] = False
        st.rerun()  # of the page: the drawer is not this part's
    name = f"{key}-{kept['round']}"

    def selected() -> None:
        if opened(st.session_state[name]["selection"]):
            kept["round"], kept["opened"] = kept["round"] + 1, True

    st.altair_chart(drawn, key=name, on_select=selected, selection_mode=list(modes), alt=alt)


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
    url_widgets.go({AT: str(at), WHY: why})


def close() -> None:
    """Forget the instant."""
    url_widgets.go({AT: None, WHY: None})


def drawer(sign_in: SignIn, *, in_history: bool = False) -> bool:
    """The instant that the URL names, beside the page; whether it names one. Only at the top level of a page."""
    asked = st.query_params.get(AT, "")
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 14):
        return False
    at = min(int(asked), times.now())

    title = f"{t('Who held which slot')} · {times.day(at, weekday=True)} {times.clock(at)}"

    @st.dialog(title, position="right", width="medium", on_dismiss=close)
    def shown() -> None:
        then.show(sign_in, at, "then", st.query_params.get(WHY))
        around = {"from": rfc3339(at - HOUR // 2), "to": rfc3339(at + HOUR // 2), then.NAME: str(at)}
        label, icon = t("Capacity history around it"), ":material/arrow_forward:"
        if not in_history:
            st.page_link("history.py", label=label, icon=icon, query_params=around)
        elif st.button(label, icon=icon, type="tertiary"):  # a link to the page that it stands on changes nothing
            url_widgets.go({**around, AT: None, WHY: None})
            st.rerun()

    shown()
    return True
