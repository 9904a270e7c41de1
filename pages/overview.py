"""Can I take one more bot, and is anything wrong?"""

import streamlit as st

from limiter.console import data, frame
from limiter.console.charts import capacity
from limiter.console.frame import Card
from limiter.console.kit import times
from limiter.console.kit.times import HOUR, Span
from limiter.console.kit.words import number, percent, t, tn
from limiter.console.parts import happenings, to_do
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules.capacity import Capacity
from limiter.rules.guards import CPU_PERCENT, RAM_PERCENT
from limiter.store import read

sign_in = frame.begin()


def now_taken(sign_in: SignIn) -> None:
    """The bar and the figures beneath it."""
    stats = data.live(sign_in).stats
    if stats is None:
        return
    capacity = Capacity(stats.capacity.current_bots, stats.capacity.max_bots)
    system, rates, sessions, decisions = stats.system, stats.rates, stats.sessions, stats.decisions
    frame.capacity_bar(capacity, system.recommended_max_bots, stats.limits["ALERT_THRESHOLD"] or 0)
    now = times.now()
    day = data.read(read.history.load, now - times.DAY, now)
    refused = sum(rates.refusals_last_hour.values())
    users = data.read(read.refusals.refused_users, now - HOUR) if refused else 0
    seldom = [silent for silent in (system.cpu_percent, system.ram_percent) if silent is None]
    p99 = decisions.p99_ms
    peak_at = times.when(day.peak_at) if day.peak_at else t("no snapshot yet")
    frame.cards(
        [
            Card(t("Peak, 24 h"), number(day.peak) if day.peak is not None else "–", peak_at),
            Card(
                t("Refused, 1 h"),
                number(refused),
                tn("{n} user", "{n} users", users) if refused else t("nobody was turned away"),
                "said" if refused else "",
            ),
            Card(
                t("Suspect bots"),
                number(sessions.suspect),
                t("two heartbeats missed") if sessions.suspect else t("every bot is heard"),
                "said" if sessions.suspect else "",
            ),
            Card(
                "CPU",
                percent(system.cpu_percent, 0),
                t("raises held above {n}", n=percent(CPU_PERCENT, 0)),
                tone(system.cpu_percent, CPU_PERCENT),
            ),
            Card(
                "RAM",
                percent(system.ram_percent, 0),
                t("raises held above {n}", n=percent(RAM_PERCENT, 0)),
                tone(system.ram_percent, RAM_PERCENT),
            ),
            Card(
                t("Decision, p99"),
                f"{number(p99, 1)} ms" if p99 is not None else "–",
                tn("{n} in the last minute", "{n} in the last minute", decisions.count) if not seldom else "",
            ),
        ]
    )


def tone(value: float | None, threshold: float) -> str:
    """How a reading beside its guard is marked."""
    return "bad" if value is not None and value > threshold else ""


def last_hour(_: SignIn) -> None:
    """Bots against the limit."""
    now = times.now()
    span = Span(now - HOUR, now)
    series = data.read(read.history.series, span.start, span.end)
    st.header(t("The last hour"), anchor=False)
    if not series.rows:
        st.info(t("No snapshot in the last hour: a limiter that runs takes one every 5 seconds."))
        return
    marks = happenings.marks(span)
    comfort = comfortable(sign_in)
    chart = capacity.capacity(series, span, marks, comfort, height=300)
    st.vega_lite_chart(chart, key="hour", width="stretch", alt=t("Bots against the limit in the last hour"))
    st.caption(
        t("Line: bots. Dashed: the limit. Dotted: comfortable for this box. Tints: LOW, HEALTHY, WARNING, FULL.")
    )


def comfortable(sign_in: SignIn) -> int | None:
    """What the box carries comfortably, where the limiter says."""
    stats = data.live(sign_in).stats
    return stats.system.recommended_max_bots if stats else None


def tasks(sign_in: SignIn) -> None:
    """What asks for a hand, each with the way there: the first thing that is read."""
    found = to_do.to_do(data.live(sign_in).stats)
    pressing = any(task.pressing for task in found)
    with st.container(border=True, key="to-do-pressing" if pressing else "to-do", gap="xxsmall"):
        if not pressing:
            line("✓ " + t("Nothing asks for you."), "limits.py", t("Open Limits"))
        for task in found:
            line(task.text, task.page, task.label)


def line(text: str, page: str, label: str) -> None:
    """A text with its link at the end."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(text, width="stretch")
        st.page_link(page, label=label, icon=":material/arrow_forward:")


def latest(_: SignIn) -> None:
    """What happened last."""
    st.header(t("Latest"), anchor=False)
    found = happenings.latest(7)
    if found:
        frame.timeline(found)
    else:
        st.caption(t("Nothing yet."))


def empty() -> bool:
    """Whether no bot has ever started."""
    return not data.read(read.sessions.active, most=1) and not data.read(read.sessions.count_ended, most=1)


def first_steps() -> None:
    """What to do while there is nothing to see."""
    with st.container(border=True):
        st.markdown(f"**{t('No bot has started yet.')}** {t('Start one from a shell:')}")
        url = data.limiter_url()
        body = '{"user_id": "u1", "bot_id": "b1"}'
        st.code(
            f"curl -X POST {url}/api/bots/start -H 'Content-Type: application/json' -d '{body}'",
            language=None,
            wrap_lines=True,
        )
        st.markdown(t("or give an unchanged bot a slot for as long as it runs:"))
        st.code("python -m limiter run --user u1 -- COMMAND", language=None, wrap_lines=True)
        st.caption(
            t(
                "To look around first: `make demo` opens this console "
                "on four weeks of made-up history, in a database of its own."
            )
        )


if empty():
    first_steps()
frame.live(frame.ticking(10))(tasks)(sign_in)
frame.live(frame.ticking(5))(now_taken)(sign_in)
left, right = st.columns([2.2, 1], gap="medium")
with left, st.container(border=True):
    frame.live(frame.ticking(30))(last_hour)(sign_in)
with right, st.container(border=True):
    frame.live(frame.ticking(10))(latest)(sign_in)
