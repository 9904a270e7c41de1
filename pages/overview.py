"""Can I take one more bot, and is anything wrong?"""

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from limiter.answers.capacity import StatsAnswer
from limiter.console import data, frame
from limiter.console.charts import capacity, statuses
from limiter.console.kit import times
from limiter.console.kit.cards import Card, Tone, cards, timeline
from limiter.console.kit.words import number, percent, t, tn, view
from limiter.console.parts import drain, happenings, moment, to_do
from limiter.console.parts.limits import ahead, probation
from limiter.console.parts.sessions import waiting
from limiter.console.sign_in.sign_ins import SignIn
from limiter.console.view import DAY, HOUR, MINUTE, Span, View
from limiter.rules.guards import CPU_PERCENT, RAM_PERCENT
from limiter.store import read

sign_in = frame.begin()
SLICE = 5 * MINUTE  # of the refusals that are drawn
DRAWN_FROM = 5  # values of a sparkline


def now_taken(sign_in: SignIn) -> None:
    """The scale and the figures beneath it."""
    stats = data.live(sign_in).stats
    if stats is None:
        return
    taken, comfort = stats.capacity, stats.system.recommended_max_bots
    current, limit = taken.current_bots, taken.max_bots
    with st.container(border=True, gap="xxsmall"):
        said = tn("{n} of {limit} slots taken", "{n} of {limit} slots taken", current, limit=number(limit))
        scale(current, limit, comfort, said, view())
        below, limits = (
            [beside(comfort, max(current, limit, 1), stats.limits["ALERT_THRESHOLD"] or 0)],
            data.read(read.limits.read),
        )
        if limits is not None and (soon := ahead.coming(limits)):
            below.append(soon)
        st.caption(" · ".join(below))
    now = times.now()
    figures(stats, data.read(read.history.pulse, now - HOUR, now), now)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs={View: lambda seen: (seen.language, seen.dark)})
def scale(current: int, limit: int, comfort: int | None, said: str, seen: View) -> None:
    """While nothing moves Streamlit sends what it kept of it: to draw it was half of what five seconds cost."""
    st.altair_chart(statuses.scale(current, limit, seen, comfort=comfort), key="scale", alt=said)


def beside(comfort: int | None, reach: int, threshold: float) -> str:
    """What the scale's dotted line is, and from where on somebody is told."""
    alert = t("alert from {percent}", percent=percent(threshold, 0))
    if not comfort:
        return alert
    near = t("dotted: {n} bots, what this box carries comfortably", n=number(comfort))
    far = t("this box carries {n} bots comfortably", n=number(comfort))
    return f"{near if comfort <= 1.5 * reach else far} · {alert}"


def figures(stats: StatsAnswer, hour: Sequence[Any], now: int) -> None:
    """Six figures, each with its last hour (the peak: its day)."""
    system, rates, sessions, decisions = stats.system, stats.rates, stats.sessions, stats.decisions
    day = data.load(now - DAY, now)
    refused, suspects = sum(rates.refusals_last_hour.values()), sessions.suspect
    users = data.read(read.refusals.refused_users, now - HOUR) if refused else 0
    counts = data.read(read.history.series, now - HOUR, now, SLICE // 1000).refused
    slices = [sum(counts.get(at, {}).values()) for at in range((now - HOUR) // SLICE * SLICE, now, SLICE)]
    cpu, ram, p99 = system.cpu_percent, system.ram_percent, decisions.p99_ms
    cards(
        [
            Card(
                t("Peak, 24 h"),
                number(day.peak) if day.peak is not None else "–",
                times.when(day.peak_at) if day.peak_at else t("no snapshot yet"),
                trend=line_of(row.high for row in data.read(read.history.hours, now - DAY, now)),
            ),
            Card(
                t("Refused, 1 h"),
                number(refused),
                tn("{n} user", "{n} users", users) if refused else t("nobody was turned away"),
                "said" if refused else "",
                slices if refused else (),
                "bar",
            ),
            Card(
                t("Suspect bots"),
                number(suspects),
                t("two heartbeats missed") if suspects else t("every bot is heard"),
                "said" if suspects else "",
                line_of(row.suspects for row in hour) if any(row.suspects for row in hour) else (),
                "bar",
            ),
            box_card("CPU", cpu, CPU_PERCENT, line_of(row.cpu for row in hour)),
            box_card("RAM", ram, RAM_PERCENT, line_of(row.ram for row in hour)),
            Card(
                t("Decision, p99"),
                f"{number(p99, 1)} ms" if p99 is not None else "–",
                tn("{n} in the last minute", "{n} in the last minute", decisions.count),
                trend=line_of(row.p99 for row in hour),
            ),
        ],
        across=3,
    )


def box_card(name: str, value: float | None, guard: float, trend: Sequence[float]) -> Card:
    """A reading of the box beside its guard."""
    tone: Tone = "bad" if value is not None and value > guard else ""
    return Card(name, percent(value, 0), t("raises held above {n}", n=percent(guard, 0)), tone, trend)


def line_of(values: Iterable[float | None]) -> Sequence[float]:
    """Values as a sparkline takes them: nothing while a few would look like a course."""
    found = [float(value) for value in values if value is not None]
    return found if len(found) >= DRAWN_FROM else ()


def last_hour(_: SignIn) -> None:
    """Bots against the limit."""
    now = times.now()
    span = Span(now - HOUR, now)
    known = data.read(read.history.bounds)
    span = span.since(known[0]) if known else span
    history = data.history(span.start, span.end)
    st.header(t("The last hour"), anchor=False)
    if history.bots.empty:
        st.info(t("No snapshot in the last hour: a limiter that runs takes one every 5 seconds."))
        return
    marks, comfort = happenings.marks(span), comfortable(sign_in)
    chart = capacity.capacity(
        history.bots, span, view(), width_ms=history.width_ms, limits=ahead.behind(span), marks=marks, comfort=comfort,
        height=300,
    )  # fmt: skip
    moment.chart(chart, "hour", t("Bots against the limit in the last hour"), history.width_ms)
    st.caption(
        t("Line: bots. Dashed: the limit. Dotted: comfortable for this box. Tints: LOW, HEALTHY, WARNING, FULL.")
        + " "
        + t("Click: who held which slot then.")
    )


def comfortable(sign_in: SignIn) -> int | None:
    """What the box carries comfortably, where the limiter says."""
    stats = data.live(sign_in).stats
    return stats.system.recommended_max_bots if stats else None


def tasks(sign_in: SignIn) -> None:
    """What asks for a hand, each with the way there: the first thing that is read."""
    found = to_do.to_do(sign_in, data.live(sign_in).stats)
    pressing = any(task.pressing for task in found)
    with st.container(border=True, key="to-do-pressing" if pressing else "to-do", gap="xxsmall"):
        if not pressing:
            calm = t("Nothing is pressing.") if found else t("Nothing asks for you.")
            line(f":material/check: {calm}", "limits.py", t("Open Limits"))
        for task in found:
            line(task.text, task.page, task.label, **task.query)


def queue(_: SignIn) -> None:
    """Who waits for a slot."""
    if said := waiting.line():
        with st.container(border=True, gap="xxsmall", key="waiting"):
            line(said, "sessions.py", t("See the queue"), view="waiting")


def line(text: str, page: str, label: str, **query: str) -> None:
    """A text with its link at the end."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container():  # one that wraps within itself: a long text alone would push the link to a row below
            st.markdown(text)
        st.page_link(page, label=label, icon=":material/arrow_forward:", query_params=query)


def latest(_: SignIn) -> None:
    """What happened last."""
    st.header(t("Latest"), anchor=False)
    found = happenings.latest(7)
    if found:
        timeline(found)
    else:
        st.caption(t("Nothing yet."))


def empty() -> bool:
    """Whether no bot has ever started."""
    return not data.read(read.sessions.active, most=1) and not data.read(read.sessions.count_ended, most=1)


def first_steps(_: SignIn) -> None:
    """What to do while there is nothing to see."""
    if not empty():
        return
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
    frame.live(frame.ticking(5))(first_steps)(sign_in)  # it goes by itself with the first start
frame.live(frame.ticking(5))(probation.bar, tasks, drain.progress, now_taken, queue)(sign_in)
left, right = st.columns([2.2, 1], gap="medium")
with left, st.container(border=True):
    frame.live(frame.ticking(30), height=380)(last_hour)(sign_in)
with right, st.container(border=True):
    frame.live(frame.ticking(10), height=380)(latest)(sign_in)
moment.drawer(sign_in)
