"""The map of a week, weekday by hour, and the cell of it that was chosen, kept in the URL: `?cell=mon-18`.

A cell is an hour of the week on the wall clock of the run's zone. Choosing one is a step that Back undoes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from limiter.console.kit import times
from limiter.console.kit.times import DAYS
from limiter.console.kit.words import language, percent, t
from limiter.console.vega import Spec, chart, layer, names, quantity
from limiter.store.read.history import Bucket

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


def hour_of_week(at: int) -> int:
    """The cell of an instant, in the zone of the run."""
    moment = times.local(at)
    return moment.weekday() * 24 + moment.hour


def chosen() -> Cell | None:
    """The cell that the URL names; None where it names none that there is."""
    day, _, hour = st.query_params.get(NAME, "").partition("-")
    if day in WEEKDAYS and hour.isascii() and hour.isdigit() and int(hour) < 24:
        return Cell(WEEKDAYS.index(day) * 24 + int(hour))
    return None


def forget() -> None:
    """All hours again."""
    if NAME in st.query_params:
        del st.query_params[NAME]


def chip(cell: Cell) -> None:
    """What is filtered, and the way out."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(cell.text, key="cell-chip", icon=":material/close:", on_click=forget, help=t("Show all hours again"))
        st.caption(t("Lengths, starts and users below are those of this hour of the week."))


def picked(values: Sequence[float], how: str) -> float:
    """The mean, 95th percentile or maximum."""
    ordered = sorted(values)
    if how == "mean":
        return sum(ordered) / len(ordered)
    return ordered[-1] if how == "max" else ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def heat_map(rows: Sequence[Bucket], how: str, cell: Cell | None) -> Spec:
    """The share of the limit that was used, `how` being mean, p95 or max of the hours; `cell` is framed."""
    shares: dict[int, list[float]] = {}
    for row in rows:
        if row.limit:
            shares.setdefault(hour_of_week(row.at), []).append((row.mean if how == "mean" else row.high) / row.limit)
    days = DAYS[language()]
    cells = []
    for slot, values in shares.items():
        share = picked(values, how)
        text = percent(100 * share, 0)
        cells.append(
            {
                "slot": slot,
                "day": days[slot // 24],
                "hour": slot % 24,
                "share": share,
                "text": f"{100 * share:.0f}",
                "said": text,
                "n": len(values),
            }
        )
    place = {
        "x": names("hour", t("hour"), axis={"labelAngle": 0}),
        "y": names("day", sort=list(days), axis={"labelOverlap": False}),
        "tooltip": [
            names("day", t("day")),
            names("hour", t("hour")),
            names("said", t("used")),
            quantity("n", t("hours seen")),
        ],
    }
    shade = quantity("share", scale={"scheme": "cividis", "domain": [0, 1], "clamp": True}, legend=None)
    tint = {"condition": {"test": "datum.share > 0.55", "value": "#111111"}, "value": "#FFFFFF"}
    room = {"condition": {"test": "width > 560", "value": 1}, "value": 0}
    layers = [
        layer("cells", "rect", place | {"color": shade}, cornerRadius=2)
        | {"params": [{"name": NAME, "select": {"type": "point", "fields": ["slot"]}}]},
        layer("cells", "text", place | {"text": names("text"), "color": tint, "opacity": room}, fontSize=11),
    ]
    if cell is not None:
        framed = layer("cells", "rect", place, cornerRadius=2, filled=False, stroke="#D55E00", strokeWidth=3)
        layers.append(framed | {"transform": [{"filter": f"datum.slot === {cell.slot}"}]})
    return chart({"cells": cells}, layers, 250)


def show(rows: Sequence[Bucket], how: str) -> None:
    """The map; a click on a cell chooses it, a second one lets it go."""
    cell = chosen()
    # A chart of its own for each choice: the browser would keep the last click, and take the next one for its end.
    key = f"heat-{cell.slug if cell else 'all'}"

    def clicked() -> None:
        if points := st.session_state[key]["selection"].get(NAME):
            found = Cell(int(points[0]["slot"]))
            if found == cell:
                forget()
            else:
                st.query_params[NAME] = found.slug

    st.vega_lite_chart(
        heat_map(rows, how, cell),
        key=key,
        on_select=clicked,
        selection_mode=NAME,
        alt=t("Percent of the limit used, by weekday and hour"),
    )
