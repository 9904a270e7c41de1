"""Am I ready, does "full" really refuse, and what is planned?"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from limiter.answers.capacity import AdviceAnswer
from limiter.answers.plan import PlanStep
from limiter.client import Refused
from limiter.clock import rfc3339
from limiter.console import data, frame
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.cards import facts
from limiter.console.kit.receipts import act, reason_field
from limiter.console.kit.words import language, number, t, tn
from limiter.console.parts import launch
from limiter.drills import DRILLS, NAMES, Busy, perform, report
from limiter.rules.limits import Limits
from limiter.store import read
from limiter.store.location import StoreError

sign_in = frame.begin()
TABS = {"checklist": t("Checklist"), "plan": t("Launch plan"), "drills": t("Drills")}
TEMPLATES = {"guide": ((1, 50), (3, 100), (7, 150), (14, 200)), "month": ((1, 100), (8, 150), (31, 200))}
PASSED = {True: ":material/check_circle:", False: ":material/cancel:"}
DONE = {True: ":material/check_circle:", False: ":material/radio_button_unchecked:", None: ":material/visibility:"}


# -- checklist


def items(title: str, found: Sequence[launch.Item]) -> None:
    """One of the three lists."""
    done = sum(item.done is True for item in found)
    with st.container(border=True):
        st.header(f"{title} · {done}/{len(found)}", anchor=False)
        for item in found:
            mark = DONE[item.done]
            with st.container(
                horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"
            ):
                st.markdown(f"{mark} **{item.text}**  \n{item.evidence}", width=640)
                st.page_link(item.page, label=t("Open"), icon=":material/arrow_forward:")


def ready(limits: Limits) -> None:
    """The three lists of the guide."""
    stats = data.live(sign_in).stats
    try:
        advice: AdviceAnswer | None = data.admin(sign_in, 2.0).advice()
    except Refused:
        advice = None
    items(t("Before"), launch.before(limits, stats))
    items(t("During"), launch.during(stats))
    items(t("After"), launch.after(advice))
    known = {True: t("seen to be done"), False: t("to do"), None: t("for you to judge, with what is known")}
    st.caption(" · ".join(f"{DONE[done]} {said}" for done, said in known.items()))


# -- plan


def plan(_: Limits) -> None:
    """The steps, and the form that replaces them."""
    try:
        answer = data.admin(sign_in).plan()
    except Refused as refused:
        st.error(str(refused))
        return
    steps = answer.steps
    st.markdown(t("A step is applied at its time if no guard holds it; else it is held, shown here and tried again."))
    if steps:
        shown = [
            {
                t("time"): times.when(times.millis(step.at)),
                "MAX_CONCURRENT_BOTS": step.max_bots,
                t("state"): state_text(step.status),
                t("detail"): detail(step),
            }
            for step in steps
        ]
        tables.show(shown)
    else:
        st.info(t("No step is planned. Start from the guide's: 50, 100, 150, 200 on days 1, 3, 7 and 14."))
    if sign_in.may_change:
        edit(steps, answer.version)


def state_text(status: str) -> str:
    """The state of a step."""
    return {"planned": t("planned"), "applied": t("applied"), "held": t("held")}[status]


def detail(step: PlanStep) -> str:
    """When it was applied, or what holds it."""
    if step.applied_at:
        return times.when(times.millis(step.applied_at))
    return step.held_by or ""


def edit(steps: Sequence[PlanStep], version: int) -> None:
    """Times and limits, typed in the zone of the run; saved where the plan is still of the version begun with."""
    import pandas as pd  # only who edits the plan needs a table of its own here

    to_come = [(times.millis(step.at), step.max_bots) for step in steps if step.status != "applied"]
    draft = st.session_state.setdefault("plan-draft", to_come)
    begun = st.session_state.setdefault("plan-version", version)
    asked = url_widgets.asked("step")  # what another page proposes
    if asked.isascii() and asked.isdigit() and (proposed := (tomorrow(), int(asked[:7]))) not in draft:
        draft = st.session_state["plan-draft"] = [*draft, proposed]
        st.session_state["plan-n"] = st.session_state.get("plan-n", 0) + 1
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
        st.button(
            t("Save the plan"), type="primary", key="plan-save", on_click=save, args=(rows, begun), disabled=not rows
        )
        for name, label in (
            ("guide", t("Start from the guide's")),
            ("month", t("A week, a month: 100 · 150 · 200")),
        ):
            key = "plan-template" if name == "guide" else f"plan-{name}"
            st.button(label, key=key, icon=":material/content_paste:", on_click=template, args=(name,))
        if steps:
            st.button(t("Plan nothing"), key="plan-clear", icon=":material/pause:", on_click=clear, args=(begun,))


def tomorrow(days: int = 1) -> int:
    """Nine in the morning in so many days."""
    first = times.local(times.now()).replace(hour=9, minute=0, second=0, microsecond=0)
    return round((first + timedelta(days=days)).timestamp() * 1000)


def template(name: str) -> None:
    """The guide's 50, 100, 150, 200 on days 1, 3, 7, 14; or 100, a week later 150, a month later 200. At 9, from
    tomorrow on."""
    st.session_state["plan-draft"] = [(tomorrow(day), bots) for day, bots in TEMPLATES[name]]
    st.session_state["plan-n"] = st.session_state.get("plan-n", 0) + 1


def save(rows: Sequence[tuple[datetime, int]], version: int) -> None:
    """Replace the plan, unless somebody else has since; who has heard that, and sees theirs above, may save again."""
    steps: list[Mapping[str, Any]] = [
        {
            "at": rfc3339(round(at.replace(tzinfo=times.zone()).timestamp() * 1000)),
            "MAX_CONCURRENT_BOTS": int(bots),
        }
        for at, bots in rows
    ]
    if act(
        lambda why: data.admin(sign_in).set_plan(steps, why, version=version),
        "plan-reason",
        tn("{n} step planned.", "{n} steps planned.", len(steps)),
    ):
        forget_draft()
    forget_version()


def clear(version: int) -> None:
    """Plan nothing, unless somebody else has planned since; what was applied stays."""
    if act(
        lambda why: data.admin(sign_in).clear_plan(why, version=version),
        "plan-reason",
        t("Nothing is planned any more; what was applied stays."),
    ):
        forget_draft()
    forget_version()


def forget_draft() -> None:
    """It was sent: what stands in the limiter is what the next one begins with."""
    st.session_state.pop("plan-draft", None)
    url_widgets.go({"step": None})


def forget_version() -> None:
    """The plan was sent, or refused for another one, which now stands above: the next try is on that."""
    if str(st.session_state["plan-reason"]).strip():
        st.session_state.pop("plan-version", None)


# -- drills


def drills(_: Limits) -> None:
    """Run drills on a scratch copy, and what came of the last ones."""
    st.markdown(
        t(
            "A limiter of its own is started on a scratch copy of the database, filled, killed and alerted over HTTP: "
            "the running one hears nothing of it, and nothing is left."
        )
        + " "
        + t("The same on the command line: `python -m limiter drill`.")
    )
    asked: Sequence[str] = st.session_state.pop("drills", ())
    if asked and sign_in.may_change:  # a browser can press a button that is disabled
        run(asked)
    results = report.kept(data.settings())
    following = next((name for name in NAMES if name not in results), None)
    with st.container(horizontal=True):
        button(t("Run all"), NAMES, "drill-all", primary=following is None)
        if following is not None:
            title = t("Run the next drill: {name}", name=titled(following))
            button(title, [following], "drill", primary=True)
    for name in NAMES:
        with st.container(border=True):
            shown(name, results.get(name))
    if results:
        downloads([results[name] for name in NAMES if name in results])


def titled(name: str) -> str:
    """What the drill is called."""
    return next(one for one in DRILLS if one.name == name).title(language())


def button(label: str, names: Sequence[str], key: str, *, primary: bool = False) -> None:
    """Asks for these drills: they load the machine, so only who may change it."""
    st.button(
        label,
        type="primary" if primary else "secondary",
        key=key,
        icon=":material/play_arrow:",
        disabled=not sign_in.may_change,
        on_click=lambda: st.session_state.update(drills=names),
    )


def run(names: Sequence[str]) -> None:
    """The drills, told one by one as they are done. Leaving the page breaks them off."""
    with st.status(t("Drill: {name}", name=titled(names[0])), expanded=True) as status:
        try:
            with closing(perform(data.settings(), names, language())) as results:
                for done, result in enumerate(results, 1):
                    report.keep(data.settings(), result)
                    st.write(f"{PASSED[result.passed]} {result.title} · {number(result.seconds, 1)} s")
                    if done < len(names):
                        status.update(label=t("Drill: {name}", name=titled(names[done])), expanded=True)
        except Busy:
            st.error(t("Somebody else runs a drill: try again in a minute."))
        except (StoreError, OSError) as error:
            st.error(error.told(language()) if isinstance(error, StoreError) else str(error))
        status.update(label=t("Done"), state="complete", expanded=False)


def shown(name: str, result: report.Result | None) -> None:
    """One drill: when it was last done, and its steps."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        mark = DONE[False] if result is None else PASSED[result.passed]
        when = f" · {times.when(result.at)} · {number(result.seconds, 1)} s" if result else ""
        st.markdown(f"{mark} **{titled(name)}**{when}", width=560)
        button(t("Run"), [name], f"run-{name}")
    if result is None:
        return
    rows = [
        (step.tried, f"✓ {step.seen}" if step.right else f"✗ {step.seen} · {t('expected')}: {step.expected}")
        for step in result.steps
    ]
    facts(rows + ([("✗", result.fault)] if result.fault else []))
    st.caption(f"MAX_CONCURRENT_BOTS {number(result.max_bots)} · {result.database}")


def downloads(results: Sequence[report.Result]) -> None:
    """What was run, for a person and for a program."""
    with st.container(horizontal=True):
        for label, name, kind, text in (
            (t("Report"), "drills.md", "text/markdown", report.as_markdown(results, t("Drills"))),
            ("JSON", "drills.json", "application/json", json.dumps(report.as_json(results), ensure_ascii=False)),
        ):
            st.download_button(label, text, name, kind, on_click="ignore", icon=":material/download:")


st.title(t("Launch"), anchor=False)
limits = data.read(read.limits.read)
if limits is None:
    st.info(t("The limiter has not started on this database yet: it writes the limits at its first start."))
    st.stop()
assert limits is not None
{"checklist": ready, "plan": plan, "drills": drills}[url_widgets.tabs(t("Part"), "tab", TABS)](limits)
