"""What a change would do, applying it, and ten minutes to undo it."""

import time
from collections.abc import Mapping
from typing import Any

import streamlit as st

from limiter.answers.capacity import Capacity
from limiter.answers.limits import ChangeAnswer, PreviewAnswer, Replay
from limiter.client import Refused
from limiter.console import data
from limiter.console.kit import times, url_widgets
from limiter.console.kit.cards import status_badge
from limiter.console.kit.receipts import act, reason_field, receipt
from limiter.console.kit.words import number, percent, t, tn, value_text
from limiter.console.parts.limits.describe import sources
from limiter.console.parts.limits.fields import base, changes_of, start_over
from limiter.console.parts.limits.guards import guard_line
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules.limits import Limits
from limiter.store.read.demands import REPLAY_DAYS, REPLAYED

UNDO_SECONDS = 600
PROPOSE = "propose"


def propose(sign_in: SignIn, given: Mapping[str, Any] | None = None) -> None:
    """Ask the limiter what the fields (or a given change) would do, in place of what a link asked."""
    url_widgets.go({PROPOSE: None})
    _ask(sign_in, given)


def _ask(sign_in: SignIn, given: Mapping[str, Any] | None) -> None:
    kept: Limits = st.session_state["edited-limits"]
    changes = dict(given) if given is not None else changes_of(kept)
    st.session_state.pop("preview", None)
    if not changes:
        receipt(t("No field differs from the value in force."), good=False)
        return
    try:
        answer = data.admin(sign_in).preview(changes)
    except Refused as refused:
        receipt(str(refused), good=False)
        return
    st.session_state["preview"] = {"changes": changes, "answer": answer}


def propose_from_url(sign_in: SignIn, limits: Limits) -> None:
    """Preview what another page proposes, `?propose=250`, once."""
    asked = url_widgets.asked(PROPOSE)
    if sign_in.may_change and asked.isascii() and asked.isdigit():
        base(limits)
        _ask(sign_in, {"MAX_CONCURRENT_BOTS": int(asked[:9])})
        if int(asked[:9]) == limits.whole("MAX_CONCURRENT_BOTS"):
            receipt(t("{n} is in force already.", n=asked[:9]))


def shown_change(limits: Limits, name: str, value: Any) -> str:
    """One change, from and to."""
    after = limits.configured[name].value if value is None else None if value == "none" else value
    tail = f" ({sources()[limits.configured[name].source]})" if value is None else ""
    return f"`{name}` **{value_text(limits.values[name])} → {value_text(after)}**{tail}"


def draw(sign_in: SignIn, limits: Limits) -> None:
    """What it would do, and the way to do it."""
    proposed = st.session_state["preview"]
    changes: Mapping[str, Any] = proposed["changes"]
    answer: PreviewAnswer = proposed["answer"]
    capacity, replay = answer.capacity, answer.replay
    with st.container(border=True, key="preview-card"):
        st.header(t("Preview"), anchor=False)
        st.markdown("  \n".join(shown_change(limits, name, value) for name, value in changes.items()))
        occupancy(capacity)
        if answer.warnings:
            st.warning("  \n".join(answer.warnings), icon=":material/warning:")
        st.markdown(replay_text(replay))
        raised = "MAX_CONCURRENT_BOTS" in changes and capacity.max_bots > limits.whole("MAX_CONCURRENT_BOTS")
        held = [guard for guard in answer.guards if guard.held] if raised else []
        stats = data.live(sign_in).stats
        advised = stats.system.recommended_max_bots if stats else None
        override = False
        if held:
            st.error("  \n".join([t("A guard holds this raise back:"), *(guard_line(guard) for guard in held)]))
            override = st.checkbox(t("Raise it all the same; the reason is kept in the audit"), key="override")
        grave = bool(answer.over_by) or (raised and advised is not None and capacity.max_bots > advised * 1.2)
        typed = not grave or confirm(capacity.max_bots)
        trial_field()
        reason_field("limits-reason")
        with st.container(horizontal=True):
            st.button(
                t("Apply"),
                type="primary",
                key="apply",
                on_click=apply,
                args=(sign_in, override),
                disabled=not typed or bool(held and not override),
            )
            st.button(t("Dismiss"), key="dismiss", on_click=dismiss)


def dismiss() -> None:
    """Forget what was proposed."""
    st.session_state.pop("preview", None)
    url_widgets.go({PROPOSE: None})


def occupancy(capacity: Capacity) -> None:
    """How full the server would be."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        status_badge(capacity.status)
        slots = t(
            "{current} / {limit} slots ({percent})",
            current=number(capacity.current_bots),
            limit=number(capacity.max_bots),
            percent=percent(capacity.percent_used),
        )
        st.markdown(slots, width="content")


def trial_field() -> None:
    """How long the change may be on probation."""
    st.segmented_control(
        t("Back by itself unless confirmed within"),
        list(trial_times()),
        default=0,
        format_func=trial_times().__getitem__,
        key="confirm-within",
    )


def trial_times() -> dict[int, str]:
    """How long a change may be on probation, in seconds; 0: it is not."""
    return {0: t("never"), 900: "15 min", 3600: "1 h", 8 * 3600: "8 h", 24 * 3600: "24 h"}


def confirm(value: int) -> bool:
    """What cuts deep is typed, not clicked."""
    return st.text_input(t("Type the new limit, {n}, to confirm", n=value), key="confirm").strip() == str(value)


def replay_text(replay: Replay) -> str:
    """The last week decided again, in a sentence."""
    if not replay.demands:
        return tn(
            "No start was asked for in the last {n} day, so there is nothing to replay.",
            "No start was asked for in the last {n} days, so there is nothing to replay.",
            replay.days,
        )
    more = replay.refused_then - replay.refused_now
    known = {
        "starts": number(replay.demands),
        "now": number(replay.refused_now),
        "then": number(replay.refused_then),
    }
    said = tn(
        "The {starts} starts of the last {n} day, decided again: {now} refused then, **{then}** under these values",
        "The {starts} starts of the last {n} days, decided again: {now} refused then, **{then}** under these values",
        replay.days,
        **known,
    )
    affected = replay.users_affected  # as many may be refused as then, and be others
    tail = tn("{n} user affected", "{n} users affected", affected) if affected else t("no difference")
    why = t(
        "The week had more starts than are decided again while you wait ({n}), so it is cut to whole days.",
        n=number(REPLAYED),
    )
    cut = f" {why}" if replay.days < REPLAY_DAYS else ""
    return f"{said} ({'+' if more > 0 else ''}{number(more)}, {tail}).{cut}"


def apply(sign_in: SignIn, override: bool) -> None:
    """Send the change under the version that the form was filled from."""
    kept: Limits = st.session_state["edited-limits"]
    changes = st.session_state["preview"]["changes"]

    def said(answer: ChangeAnswer) -> str:
        moved = ", ".join(f"{one.name} {value_text(one.before)} → {value_text(one.after)}" for one in answer.changed)
        told = t("Version {version}: {moved}", version=answer.version, moved=moved or t("nothing changed"))
        if answer.probation is None:
            return told
        clock = f"{times.local(times.millis(answer.probation.ends_at)):%H:%M}"  # a day at most
        return f"{told}, {t('until {time} unless confirmed', time=clock)}"

    within = st.session_state.get("confirm-within") or None
    answer = act(
        lambda why: data.admin(sign_in).change_limits(
            changes, why, version=kept.version, override_guard=override, confirm_within=within
        ),
        "limits-reason",
        said,
    )
    if answer is not None:
        start_over()
        dismiss()
        st.session_state["undo"] = {
            "to": kept.version,
            "version": answer.version,
            "text": said(answer),
            "at": time.time(),
            "probation": answer.probation is not None,
        }


def undo_banner(sign_in: SignIn, limits: Limits) -> None:
    """For ten minutes, the way back; where a guard holds it, the way back all the same."""
    made = st.session_state.get("undo")
    if made is None or time.time() - made["at"] > UNDO_SECONDS or limits.version != made["version"]:
        return
    if made.get("probation"):
        return  # which has its own two ways
    held = bool(made.get("held"))
    label = t("Undo all the same") if held else t("Undo")
    with st.container(horizontal=True, vertical_alignment="center", key="undo-bar"):
        st.success(made["text"], icon=":material/check:")
        st.button(label, key="undo-button", icon=":material/undo:", on_click=undo, args=(sign_in, made, held))


def undo(sign_in: SignIn, made: dict[str, Any], override: bool) -> None:
    """Back to the version before, as a new one."""
    why = t("undo of version {version}", version=made["version"])
    try:
        answer = data.admin(sign_in).rollback(made["to"], why, override_guard=override, limits_version=made["version"])
    except Refused as refused:
        made["held"] = refused.reason == "guard_held"
        receipt(str(refused), good=False)
        return
    st.session_state.pop("undo", None)
    start_over()
    receipt(t("Undone: version {version} has the values of version {to}.", version=answer.version, to=made["to"]))
