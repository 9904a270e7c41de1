"""Am I ready, does "full" really refuse, and what is planned?"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from limiter.client import Refused
from limiter.console import checklist, choices, data, drills, frame, tables, times
from limiter.console.actions import act, reason_field
from limiter.console.words import language, number, t, tn
from limiter.rules.limits import Limits
from limiter.store import analysis

sign_in = frame.begin()
TABS = {"checklist": t("Checklist"), "plan": t("Launch plan"), "drills": t("Exercises")}
TEMPLATE = ((1, 50), (3, 100), (7, 150), (14, 200))
CHIPS = {"planned": "○", "applied": "✓", "held": "⚠"}


# -- checklist


def items(title: str, found: Sequence[checklist.Item]) -> None:
    """One of the three lists."""
    done = sum(item.done is True for item in found)
    with st.container(border=True):
        st.header(f"{title} · {done}/{len(found)}", anchor=False)
        for item in found:
            mark = {True: "✓", False: "☐", None: "–"}[item.done]
            with st.container(
                horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"
            ):
                st.markdown(f"{mark} **{item.text}**  \n{item.evidence}", width=640)
                st.page_link(item.page, label=t("Open"), icon=":material/arrow_forward:")


def ready(limits: Limits) -> None:
    """The three lists of the guide."""
    stats = data.live(sign_in).stats
    try:
        advice: dict[str, Any] | None = data.admin(sign_in, 2.0).advice()
    except Refused:
        advice = None
    items(t("Before"), checklist.before(limits, stats))
    items(t("During"), checklist.during(limits, stats))
    items(t("After"), checklist.after(limits, advice))
    st.caption(t("✓ seen to be done · ☐ to do · – for you to judge, with what is known"))


# -- plan


def plan(_: Limits) -> None:
    """The steps, and the form that replaces them."""
    try:
        steps = data.admin(sign_in).plan()["steps"]
    except Refused as refused:
        st.error(str(refused))
        return
    st.markdown(t("A step is applied at its time if no guard holds it; else it is held, shown here and tried again."))
    if steps:
        shown = [
            {
                t("time"): times.when(times.millis(step["at"])),
                "MAX_CONCURRENT_BOTS": step["MAX_CONCURRENT_BOTS"],
                t("state"): f"{CHIPS[step['status']]} {state_text(step['status'])}",
                t("detail"): detail(step),
            }
            for step in steps
        ]
        tables.show(shown)
    else:
        st.info(t("No step is planned. Start from the guide's: 50, 100, 150, 200 on days 1, 3, 7 and 14."))
    if sign_in.may_change:
        edit(steps)


def state_text(status: str) -> str:
    """The state of a step."""
    return {"planned": t("planned"), "applied": t("applied"), "held": t("held")}[status]


def detail(step: Mapping[str, Any]) -> str:
    """When it was applied, or what holds it."""
    if step.get("applied_at"):
        return times.when(times.millis(step["applied_at"]))
    held = step.get("held_by")
    return ", ".join(held) if isinstance(held, list) else str(held or "")


def edit(steps: Sequence[Mapping[str, Any]]) -> None:
    """Times and limits, typed in the zone of the run."""
    to_come = [(times.millis(step["at"]), step["MAX_CONCURRENT_BOTS"]) for step in steps if step["status"] != "applied"]
    draft = st.session_state.setdefault("plan-draft", to_come)
    st.markdown(f"**{t('Change the plan')}** · {times.zone()}")
    # Vega's and Streamlit's grids know no zones: the wall clock of the run's zone is shown as it is.
    table = pd.DataFrame(
        {"at": [times.local(at).replace(tzinfo=None) for at, _ in draft], "bots": [bots for _, bots in draft]}
    ).astype({"at": "datetime64[ns]", "bots": "Int64"})
    edited = st.data_editor(
        table,
        num_rows="dynamic",
        hide_index=True,
        key=f"plan-{len(draft)}-{st.session_state.get('plan-n', 0)}",
        column_config={
            "at": st.column_config.DatetimeColumn(t("time"), format="DD/MM/YYYY HH:mm", required=True),
            "bots": st.column_config.NumberColumn(
                "MAX_CONCURRENT_BOTS", min_value=0, max_value=1_000_000, step=1, required=True
            ),
        },
    )
    rows = [
        (at, bots)
        for at, bots in zip(edited["at"], edited["bots"], strict=True)
        if not pd.isna(at) and not pd.isna(bots)
    ]
    reason_field("plan-reason")
    with st.container(horizontal=True):
        st.button(t("Save the plan"), type="primary", key="plan-save", on_click=save, args=(rows,), disabled=not rows)
        st.button(t("Start from the guide's"), key="plan-template", icon=":material/content_paste:", on_click=template)
        if steps:
            st.button(t("Plan nothing"), key="plan-clear", icon=":material/pause:", on_click=clear)


def template() -> None:
    """50, 100, 150, 200 on days 1, 3, 7, 14, at 9 from tomorrow on."""
    first = times.local(times.now()).replace(hour=9, minute=0, second=0, microsecond=0)
    st.session_state["plan-draft"] = [
        (round((first + timedelta(days=day)).timestamp() * 1000), bots) for day, bots in TEMPLATE
    ]
    st.session_state["plan-n"] = st.session_state.get("plan-n", 0) + 1


def save(rows: Sequence[tuple[datetime, int]]) -> None:
    """Replace the plan."""
    steps: list[Mapping[str, Any]] = [
        {
            "at": times.rfc3339(round(at.replace(tzinfo=times.zone()).timestamp() * 1000)),
            "MAX_CONCURRENT_BOTS": int(bots),
        }
        for at, bots in rows
    ]
    if act(
        lambda why: data.admin(sign_in).set_plan(steps, why),
        "plan-reason",
        tn("{n} step planned.", "{n} steps planned.", len(steps)),
    ):
        st.session_state.pop("plan-draft", None)


def clear() -> None:
    """Plan nothing; what was applied stays."""
    if act(
        lambda why: data.admin(sign_in).clear_plan(why),
        "plan-reason",
        t("Nothing is planned any more; what was applied stays."),
    ):
        st.session_state.pop("plan-draft", None)


# -- exercises


def exercises(limits: Limits) -> None:
    """Run the rules on a state of their own."""
    names = {
        "ten": t("10 bots start, beat and stop"),
        "full": t("MAX + 1 bots: the last is refused"),
        "silent": t("A bot falls silent: its slot comes back"),
        "back": t("A bot crashes on a full server and starts again"),
    }
    st.markdown(
        t(
            "The limiter's own rules decide, under the limits in force, in memory: "
            "nothing reaches the running limiter and no session is left."
        )
        + " "
        + t("To drive the real one: `python -m limiter simulate --bots 250`.")
    )
    done = st.session_state.setdefault("drills", {})
    following = next((name for name, _ in drills.DRILLS if name not in done), drills.DRILLS[0][0])
    st.button(
        t("Run the next exercise: {name}", name=names[following]),
        type="primary",
        key="drill",
        icon=":material/play_arrow:",
        on_click=run,
        args=(following, limits),
    )
    for name, _ in drills.DRILLS:
        result = done.get(name)
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                passed = result is not None and all(step.right for step in result["steps"])
                mark = "○" if result is None else "✓" if passed else "✗"
                st.markdown(
                    f"{mark} **{names[name]}**" + (f" · {times.when(result['at'])}" if result else ""), width=560
                )
                st.button(t("Run"), key=f"run-{name}", on_click=run, args=(name, limits))
            if result:
                frame.facts([(step.tried, f"{'✓' if step.right else '✗'} {step.came}") for step in result["steps"]])
    if done:
        st.download_button(
            t("Report"),
            lambda: report(done, names, limits),
            "exercises.md",
            "text/markdown",
            on_click="ignore",
            icon=":material/download:",
        )


def run(name: str, limits: Limits) -> None:
    """Run one."""
    steps = dict(drills.DRILLS)[name](limits, language())
    st.session_state["drills"][name] = {"at": times.now(), "steps": steps}


def report(done: Mapping[str, Any], names: Mapping[str, str], limits: Limits) -> str:
    """What was run, as Markdown."""
    lines = [
        f"# {t('Exercises')}",
        "",
        f"MAX_CONCURRENT_BOTS {number(limits.whole('MAX_CONCURRENT_BOTS'))}, version {limits.version}",
        "",
    ]
    for name, result in done.items():
        lines += [f"## {names[name]}", "", times.rfc3339(result["at"]), ""]
        lines += [f"- {'✓' if step.right else '✗'} {step.tried}: {step.came}" for step in result["steps"]] + [""]
    return "\n".join(lines)


st.title(t("Launch"), anchor=False)
limits = data.read(analysis.limits)
if limits is None:
    st.info(t("The limiter has not started on this database yet: it writes the limits at its first start."))
    st.stop()
assert limits is not None
{"checklist": ready, "plan": plan, "drills": exercises}[choices.tabs(t("Part"), "tab", TABS)](limits)
