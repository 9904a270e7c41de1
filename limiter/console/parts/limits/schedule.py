"""Peak windows: those that stand, the form for one more, and what holds next."""

from collections.abc import Sequence
from datetime import time

import streamlit as st

from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.receipts import act, reason_field, receipt
from limiter.console.kit.words import language, number, t, tn, value_text
from limiter.console.parts.limits import ahead
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules.guards import said
from limiter.rules.limits import Limits
from limiter.rules.schedule import DAYS, MAX, OpenWindow, PeakWindow, Schedule
from limiter.store import read


def days() -> dict[str, str]:
    """The days of the week, short."""
    names = t("Mon"), t("Tue"), t("Wed"), t("Thu"), t("Fri"), t("Sat"), t("Sun")
    return dict(zip(DAYS, names, strict=True))


def draw(sign_in: SignIn, limits: Limits) -> None:
    """The windows, the form for one more, and what holds next."""
    schedule = data.read(read.limits.read_schedule)
    st.markdown(
        t(
            "Another MAX_CONCURRENT_BOTS at set times of the wall clock ({zone}). The first that fits holds; a raise "
            "is held while a guard holds; a change by hand in a window holds until it ends.",
            zone=str(data.settings().timezone),
        )
    )
    if schedule.open is not None:
        st.info(opened(schedule.open), icon=":material/schedule:")
    for place, window in enumerate(schedule.windows):
        one(sign_in, schedule, place, window)
    if not schedule.windows:
        st.caption(t("No window."))
    if sign_in.may_change:
        form(sign_in, schedule)
    ahead.listed(limits)


def opened(window: OpenWindow) -> str:
    """The window that has begun, and how it fares."""
    told = t(
        "A window is open until {time}: {n}, then {base}.",
        time=times.when(window.of.ends),
        n=number(window.of.max_bots),
        base=value_text(window.base.value),
    )
    if window.held_by:
        return f"{told} {t('Held: {why}', why=said(window.held_by).told(language()))}"
    return f"{told} {t('Changed by hand until then.')}" if window.by_hand else told


def one(sign_in: SignIn, schedule: Schedule, place: int, window: PeakWindow) -> None:
    """One window on a line, with the way to take it away."""
    names = days()
    when = t("every day") if len(window.days) == len(DAYS) else " ".join(names[day] for day in window.days)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", border=True):
        st.markdown(
            f"**{window.begins:%H:%M} – {window.ends:%H:%M}** · {when} · **{number(window.max_bots)}**", width="content"
        )
        if sign_in.may_change:
            # By the version: what was begun on one window must not go on upon another that stands there by now.
            name = f"{schedule.version}-{place}"
            with st.popover(t("Remove"), icon=":material/delete:", key=f"window-{name}"):
                reason_field(f"window-reason-{name}")
                left = [one for n, one in enumerate(schedule.windows) if n != place]
                st.button(
                    t("Remove"),
                    key=f"window-remove-{name}",
                    type="primary",
                    on_click=send,
                    args=(sign_in, left, schedule.version, f"window-reason-{name}"),
                )


def form(sign_in: SignIn, schedule: Schedule) -> None:
    """One window more: a field each, so that a phone has room."""
    names = days()
    with st.container(border=True):
        st.header(t("New window"), anchor=False)
        st.pills(
            t("Days"),
            list(DAYS),
            selection_mode="multi",
            default=list(DAYS),
            format_func=names.__getitem__,
            key="window-days",
        )
        with st.container(horizontal=True):
            st.time_input(t("From"), time(18), step=900, key="window-from", width=140)
            st.time_input(t("To"), time(22), step=900, key="window-to", width=140)
            st.number_input(MAX, 0, 1_000_000, 200, key="window-bots", width=180)
        reason_field("window-reason")
        st.button(t("Add the window"), type="primary", key="window-add", on_click=add, args=(sign_in, schedule))


def add(sign_in: SignIn, schedule: Schedule) -> None:
    """Put it before the others: what somebody adds is meant to hold."""
    typed = st.session_state
    chosen = tuple(sorted(typed["window-days"], key=DAYS.index))
    if not chosen:
        receipt(t("Choose at least one day."), good=False)
        return
    new = PeakWindow(chosen, typed["window-from"], typed["window-to"], int(typed["window-bots"]))
    send(sign_in, [new, *schedule.windows], schedule.version, "window-reason")


def send(sign_in: SignIn, windows: Sequence[PeakWindow], version: int, reason_key: str) -> None:
    """Replace the windows, unless somebody else has since they were drawn."""
    body = [
        {
            "days": list(one.days),
            "from": f"{one.begins:%H:%M}",
            "to": f"{one.ends:%H:%M}",
            "MAX_CONCURRENT_BOTS": one.max_bots,
        }
        for one in windows
    ]
    count = tn("{n} window in place.", "{n} windows in place.", len(body))
    act(lambda why: data.admin(sign_in).set_windows(body, why, version=version), reason_key, count)
