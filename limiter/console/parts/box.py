"""What this box carries of the bots that run on it, and the bots without a slot."""

import streamlit as st

from limiter.answers.box import BoxAnswer
from limiter.console.kit import tables, times
from limiter.console.kit.words import number, t, tn
from limiter.rules import box as rules

ADOPT = "python -m limiter run --adopt PID --user USER"


def carries(box: BoxAnswer) -> None:
    """The sentence, what a bot costs, and what was counted."""
    st.header(t("What this box carries"), anchor=False)
    st.markdown(f"**{box.sentence}**" if box.carries is not None else box.sentence)
    rows = [
        {
            t("a bot"): name,
            t("median"): number(of.median, decimals),
            t("mean"): number(of.mean, decimals),
            t("90% are below"): number(of.p90, decimals),
        }
        for name, of, decimals in (
            (t("memory, MB"), box.memory_mb, 0),
            (t("CPU, % of a core"), box.cpu_percent, 1),
        )
        if of is not None
    ]
    if rows:
        tables.show(rows)
    if box.rest_mb is not None:
        st.caption(
            t(
                "Measured: {n} of {running} bots. {rest} MB are held by the rest of the box, {reserve}% are kept free. "
                "The range is of 80%, for more bots of the same kinds.",
                n=number(box.measured_bots),
                running=number(box.running_bots),
                rest=number(box.rest_mb),
                reserve=rules.RESERVE_PERCENT,
            )
        )


def strangers(box: BoxAnswer) -> None:
    """The processes that look like bots and hold no slot, and how to give them one."""
    st.header(t("Bots without a slot"), anchor=False)
    found = box.strangers
    if found:
        st.markdown(
            tn(
                "**{n} process** looks like a bot and holds no slot.",
                "**{n} processes** look like bots and hold no slot.",
                len(found),
            )
            + " "
            + t("Give it one, or end it:")
        )
        one_pid = str(found[0].pid) if len(found) == 1 else "PID"
        st.code(ADOPT.replace("PID", one_pid), language=None, wrap_lines=True)
        rows = [
            {
                "PID": one.pid,
                t("command"): one.command,
                t("memory, MB"): number(one.memory_mb),
                t("since"): times.when(times.millis(one.since)),
            }
            for one in found
        ]
        tables.show(rows)
    elif box.strangers_needs is None:
        st.markdown("✓ " + t("Every process that looks like a bot holds a slot."))
    if box.strangers_needs is not None:
        st.caption(box.strangers_needs)
