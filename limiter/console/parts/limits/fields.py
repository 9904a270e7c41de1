"""The system's limits as fields, and what somebody typed into them; others' changes meanwhile are told, never lost."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.words import actor_text, language, t, value_text
from limiter.console.parts.limits.describe import sources
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules import reasons
from limiter.rules.limits import Limits
from limiter.store import read
from limiter.system_limits import CATALOGUE, Limit, Value

UNLIMITED_START = 100  # what a field shows, greyed, where there is no limit


def base(limits: Limits) -> Limits:
    """The limits that the fields were filled from; they stay while somebody types, whatever others change."""
    kept: Limits | None = st.session_state.get("edited-limits")
    if kept is None or (kept.version != limits.version and not changes_of(kept)):
        st.session_state["edited-limits"] = kept = limits
        st.session_state.pop("preview", None)
    return kept


def field_key(limits: Limits, name: str) -> str:
    """The field's key: a new version brings new fields."""
    return f"{name}-v{limits.version}-{st.session_state.get('undone', 0)}"


def changes_of(limits: Limits) -> dict[str, Value | str]:
    """What the fields say other than the values in force."""
    found: dict[str, Value | str] = {}
    for limit in CATALOGUE:
        key = field_key(limits, limit.name)
        if key not in st.session_state:
            continue
        value = None if st.session_state.get(f"{key}-none") else st.session_state[key]
        if value is None and not limit.optional:
            continue
        if value != limits.values[limit.name]:
            found[limit.name] = "none" if value is None else int(value) if value == int(value) else value
    return found


def field(sign_in: SignIn, limits: Limits, limit: Limit, take_back: Callable[[str], None]) -> None:
    """One limit: its value, unit, meaning, and where the value comes from."""
    setting, configured = limits.settings[limit.name], limits.configured[limit.name]
    key, none = field_key(limits, limit.name), limit.optional and setting.value is None
    kind: type[int] | type[float] = int if limit.whole else float
    more: dict[str, Any] = {
        "min_value": kind(limit.minimum),
        "max_value": kind(limit.maximum),
        "value": kind(min(UNLIMITED_START, limit.maximum) if setting.value is None else setting.value),
        "step": kind(limit.step),
        "format": "%d" if limit.whole else "%.1f",
    }
    st.number_input(
        limit.name,
        key=key,
        help=limit.meaning_in(language()),
        disabled=not sign_in.may_change or bool(st.session_state.get(f"{key}-none", none)),
        **more,
    )
    if limit.optional:  # a field that holds a number cannot be emptied
        st.checkbox(t("no limit"), none, key=f"{key}-none", disabled=not sign_in.may_change)
    said = [limit.unit_in(language()), sources()[setting.source]]
    if setting.source != "live" and setting.value != limit.default:
        said.append(t("default {value}", value=value_text(limit.default)))
    if setting.changed_by and setting.source == "live" and setting.changed_at:
        said.append(f"{actor_text(setting.changed_by)}, {times.when(setting.changed_at)}")
    st.caption(" · ".join(said))
    if limits.hidden(limit.name):
        st.caption(
            t(
                ":material/warning: hides {value} of the {source}",
                value=value_text(configured.value),
                source=sources()[configured.source],
            )
        )
        if sign_in.may_change:
            st.button(
                t("Take the live change back"),
                key=f"back-{limit.name}",
                type="tertiary",
                icon=":material/undo:",
                on_click=take_back,
                args=(limit.name,),
            )


def conflict(reload: Callable[[], None]) -> None:
    """Somebody else changed the limits while a form was being filled; `reload` forgets what was typed into it."""
    newest = data.read(read.limits.versions, limit=1)[0]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(
            t(
                "Version {version} by {who} at {time}: “{why}”. Reload before you apply yours.",
                version=newest["version"],
                who=actor_text(newest["actor"]),
                time=times.when(newest["at"]),
                why=reasons.of_version(newest, language()),
            )
        )
        st.button(t("Reload"), key="reload", icon=":material/refresh:", on_click=reload)


def start_over() -> None:
    """Forget what was typed."""
    st.session_state.pop("edited-limits", None)
    st.session_state.pop("preview", None)
    st.session_state["undone"] = st.session_state.get("undone", 0) + 1
