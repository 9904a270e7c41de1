"""What fired, is it over, and what happened meanwhile?"""

import html

import streamlit as st

from limiter.console import data, episodes, frame, tables, times
from limiter.console.frame import Card
from limiter.console.times import DAY
from limiter.console.words import lasting, number, percent, t, tn
from limiter.store import analysis

sign_in = frame.begin()
DAYS_SHOWN = 30
TONES = {"LOW": "--low", "HEALTHY": "--healthy", "WARNING": "--warning", "FULL": "--full", "": "--quiet"}


def level_text(level: float) -> str:
    """The message of a level, as the operator's guide words it."""
    if level >= 100:
        return t("❌ SERVER FULL!")
    return t("🚨 URGENT: almost full!") if level >= 95 else t("⚠️ Capacity at {n}!", n=percent(level, 0))


def day_bar() -> None:
    """A cell a day, tinted by the highest status that it reached."""
    now = times.now()
    rows = data.read(analysis.hours, now - DAYS_SHOWN * DAY, now)
    worst: dict[str, str] = {}
    order = ["", *frame.ICONS]
    for row in rows:
        day = times.day(row.at)
        status = episodes.status_of(row.high, row.limit)
        worst[day] = max(worst.get(day, ""), status, key=order.index)
    cells = []
    for back in range(DAYS_SHOWN - 1, -1, -1):
        day = times.day(now - back * DAY)
        status = worst.get(day, "")
        said = f"{day}: {status or t('no data')}"
        cells.append(f"<i title='{html.escape(said, quote=True)}' style='background:var({TONES[status]})'>{frame.ICONS.get(status, '')}</i>")
    st.html(f"<div class='lim-days' role='img' aria-label='{html.escape(t('Highest status of each of the last 30 days'), quote=True)}'>{''.join(cells)}</div>")
    with st.container(horizontal=True):
        st.caption(times.day(now - (DAYS_SHOWN - 1) * DAY))
        st.caption(t("○ LOW  ✓ HEALTHY  ⚠ WARNING  ⛔ FULL: the highest status of each day"))


def list_episodes(found: list[episodes.Episode]) -> None:
    """Every time the load crossed a level, newest first."""
    rows = [
        {
            t("began"): times.when(one.start),
            t("lasted"): lasting(((one.end or times.now()) - one.start) / 1000) + ("" if one.end else " · " + t("still open")),
            t("level"): level_text(one.level),
            t("peak"): f"{number(one.peak)} / {number(one.limit)}",
            t("refused meanwhile"): one.refused,
        }
        for one in reversed(found)
    ]
    if not rows:
        st.success(t("The threshold was not crossed in 30 days."), icon=":material/check:")
        return
    tables.show(rows)
    tables.csv_button(rows, "crossings")


st.title(t("Alerts"), anchor=False)
limits = data.read(analysis.limits)
threshold = float(limits.values["ALERT_THRESHOLD"] or 80) if limits else 80.0
now = times.now()
found = episodes.find(now - DAYS_SHOWN * DAY, now, threshold)
opened = [one for one in found if one.end is None]
frame.cards(
    [
        Card(t("Open now"), number(len(opened)), level_text(opened[-1].level) if opened else t("all calm"), "bad" if opened else ""),
        Card(t("Crossings, 30 d"), number(len(found)), t("of {n} and above", n=percent(threshold, 0))),
        Card(t("Full, 30 d"), number(sum(one.level >= 100 for one in found)), t("times")),
        Card(t("Longest"), lasting(max((((one.end or now) - one.start) / 1000 for one in found), default=0)), ""),
    ]
)
with st.container(border=True):
    day_bar()
st.subheader(t("When the load crossed a level"), anchor=False)
list_episodes(found)
channels = len(data.settings()["LIMITER_ALERT_URLS"])
st.info(
    t("This page reads crossings from the history. Telling people about them and acknowledging is not part of this version yet.")
    + " "
    + tn("{n} channel is configured in LIMITER_ALERT_URLS.", "{n} channels are configured in LIMITER_ALERT_URLS.", channels)
)
with st.container(horizontal=True, vertical_alignment="center"):
    st.page_link("limits.py", label=t("Change the threshold"), icon=":material/tune:")
    st.page_link("history.py", label=t("Capacity history"), icon=":material/show_chart:")
