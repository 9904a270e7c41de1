"""A click on a length of stays opens those sessions beside the page: how many its bar counts, and the newest of them.

The length is in the URL, `?stay=` (its seconds, view.stays_names), so that Back closes it. The list of sessions is a
link away, and not opened at once: `st.switch_page` writes its parameters into the URL of the page that it leaves
before it goes, which takes two steps of Back (Streamlit 1.67); a link takes one.
"""

import altair as alt
import streamlit as st

from limiter.console import data
from limiter.console.charts.usage import STAY
from limiter.console.kit import tables, url_widgets
from limiter.console.kit.words import t, tn, view
from limiter.console.parts import moment
from limiter.console.parts.sessions import holding, lists
from limiter.console.view import seconds_of
from limiter.store import read

MOST = 20  # sessions that are listed


def chart(drawn: alt.LayerChart, key: str, alt: str) -> None:
    """Draw the lengths; a click on one opens it. Only in what is drawn alone (frame.live)."""

    def opened(selection: moment.Selection) -> bool:
        if chosen := selection.get(STAY):
            url_widgets.go({STAY: chosen[0][STAY]})
        return bool(chosen)

    moment.selectable(drawn, key, alt, [STAY], opened)


def close() -> None:
    """Forget the length."""
    url_widgets.go({STAY: None})


def drawer(since: int) -> None:
    """The length that the URL names, of the sessions that ended since then; nothing where it names none. At the top
    level of a page without another."""
    stay = st.query_params.get(STAY, "")
    lengths = view().stays()
    if stay not in lengths:
        return

    @st.dialog(t("Sessions that lasted {stay}", stay=lengths[stay]), position="right", width="medium", on_dismiss=close)
    def shown() -> None:
        total, found = data.read(read.sessions.of_length, since, seconds_of(stay), MOST)
        said = tn("{n} session ended in this period.", "{n} sessions ended in this period.", total)
        st.caption(f"{said} {t('The newest {n}:', n=MOST)}" if total > MOST else said)
        hidden = {t("session"), t("highest, MB"), t("CPU time")}
        rows = [{name: value for name, value in holding.ended_row(row).items() if name not in hidden} for row in found]
        if rows:
            tables.show(rows, column_config=lists.columns())
        st.page_link(
            "sessions.py",
            label=t("All such sessions"),
            icon=":material/arrow_forward:",
            query_params={"view": "ended", STAY: stay},
        )

    shown()
