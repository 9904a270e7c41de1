"""The map of a week, weekday by hour, and the cell of it that was chosen, kept in the URL: `?cell=mon-18`.

A cell is an hour of the week on the wall clock of the run's zone. Choosing one is a step that Back undoes.
"""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from limiter.console.charts.usage import heat_map
from limiter.console.kit import url_widgets
from limiter.console.kit.words import language, t, view
from limiter.console.view import DAYS

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NAME = "cell"


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour of the week: 0 (Monday 0 h) to 167."""

    slot: int

    @property
    def slug(self) -> str:
        """As the URL names it."""
        return f"{WEEKDAYS[self.slot // 24]}-{self.slot % 24}"

    @property
    def text(self) -> str:
        """Mon 18 h."""
        return f"{DAYS[language()][self.slot // 24]} {self.slot % 24} h"


def chosen() -> Cell | None:
    """The cell that the URL names; None where it names none that there is."""
    day, _, hour = st.query_params.get(NAME, "").partition("-")
    if day in WEEKDAYS and hour.isascii() and hour.isdigit() and int(hour) < 24:
        return Cell(WEEKDAYS.index(day) * 24 + int(hour))
    return None


def forget() -> None:
    """All hours again."""
    url_widgets.go({NAME: None})


def chip(cell: Cell) -> None:
    """What is filtered, and the way out."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(cell.text, key="cell-chip", icon=":material/close:", on_click=forget, help=t("Show all hours again"))
        st.caption(t("Lengths, starts and users below are those of this hour of the week."))


def show(rows: pd.DataFrame, how: str) -> None:
    """The map of those hours; a click on a cell chooses it, a second one lets it go."""
    cell = chosen()
    # A chart of its own after each choice, also one that Back or the chip undid: the browser keeps the last click of a
    # chart, and a second one on the same cell, which changes nothing for it, would be nobody's.
    drawn = st.session_state.setdefault("heat", {"cell": cell, "round": 0})
    if drawn["cell"] != cell:
        drawn |= {"cell": cell, "round": drawn["round"] + 1}
    key = f"heat-{drawn['round']}"

    def clicked() -> None:
        if points := st.session_state[key]["selection"].get(NAME):
            found = Cell(int(points[0]["slot"]))
            if found == cell:
                forget()
            else:
                url_widgets.go({NAME: found.slug})

    st.altair_chart(
        heat_map(rows, view(), how, cell.slot if cell else None),
        key=key,
        on_select=clicked,
        selection_mode=NAME,
        alt=t("Percent of the limit used, by weekday and hour"),
    )
