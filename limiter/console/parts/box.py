"""What this box carries of the bots that run on it, and the bots without a slot."""

from typing import Any

import streamlit as st

from limiter.answers.box import BoxAnswer
from limiter.console import data
from limiter.console.charts.sizing import ranges
from limiter.console.kit import tables, times
from limiter.console.kit.words import number, t, tn, view
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules import box as rules
from limiter.store import read

ADOPT = "python -m limiter run --adopt PID --user USER"


def decide(sign_in: SignIn) -> None:
    """How many of the bots that run now have room here, beside what runs, what is allowed and what the guide says."""
    box = data.admin(sign_in).box()
    limits = data.read(read.limits.read)
    if box.carries is None:
        st.info(box.sentence)
        return
    st.markdown(f"**{box.sentence}**")
    runs, guide = box.running_bots, box.table.bots
    rows: list[dict[str, Any]] = [
        {"what": t("this box carries"), "low": box.carries.low, "value": box.carries.bots, "high": box.carries.high},
        {"what": t("running now"), "low": runs, "value": runs, "high": runs},
        {"what": t("the guide's table"), "low": guide, "value": guide, "high": guide},
    ]
    if box.next is not None and box.next.bots is not None:
        size = t("next VPS, {ram} GB at ${price} a month", ram=box.next.ram_gb, price=box.next.price_usd_month)
        rows.append({"what": size, "low": box.next.bots, "value": box.next.bots, "high": box.next.bots})
    limit = limits.whole("MAX_CONCURRENT_BOTS") if limits else None
    st.altair_chart(
        ranges(data.as_table(rows), view(), limit, t("bots")), key="box-carries", alt=t("What this box carries")
    )
    st.caption(
        t(
            "From {n} measured of {running} running bots: memory that nobody shares, {mean} MB a bot on average. "
            "The range holds in 80% of such samples, for more bots of the same kinds.",
            n=number(box.measured_bots),
            running=number(runs),
            mean=number(box.memory_mb.mean if box.memory_mb else 0, 1),
        )
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.page_link("settings.py", label=t("This box"), icon=":material/memory:", query_params={"tab": "box"})
        if box.carries.bots:  # a limit of 0 is no advice
            carried = {"propose": str(box.carries.bots)}
            label = tn("Preview {n} slot", "Preview {n} slots", box.carries.bots)
            st.page_link("limits.py", label=label, icon=":material/preview:", query_params=carried)
        tables.take_away(box, "box")


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
            + (t("Give it one, or end it:") if not found[0].host else t("Give it one, or end it, on its host:"))
        )
        one_pid = str(found[0].pid) if len(found) == 1 else "PID"
        st.code(ADOPT.replace("PID", one_pid), language=None, wrap_lines=True)
        rows = [
            {
                "PID": one.pid,
                **({t("host"): one.host or t("here")} if any(other.host for other in found) else {}),
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
