"""Every version of the limits: compare, restore."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from limiter.console import data
from limiter.console.kit import tables, times
from limiter.console.kit.receipts import act, reason_field
from limiter.console.kit.words import actor_text, language, t, value_text
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules import reasons
from limiter.rules.limits import Limits
from limiter.store import read


def draw(sign_in: SignIn, limits: Limits) -> None:
    """Every version; a selected one can be compared and restored."""
    versions = data.read(read.limits.versions, limit=200)
    if len(versions) < 2:
        st.caption(
            t("No change since the installation; the starting values came from the environment or the defaults.")
        )
    rows = [
        {
            t("version"): one["version"],
            t("time"): times.when(one["at"]),
            t("who"): actor_text(one["actor"]),
            t("what"): changed_text(one),
            t("reason"): reasons.of_version(one, language()),
            t("kind"): one["kind"],
        }
        for one in versions
    ]
    if not rows:
        return
    picked = tables.show(
        rows, column_config={t("kind"): None}, key=f"versions-{limits.version}", on_select="rerun",
        selection_mode="single-row",
    )  # fmt: skip
    tables.csv_button(rows, "limit-versions")
    if picked.selection.rows:
        compare(sign_in, limits, versions[picked.selection.rows[0]])
    else:
        st.caption(t("Select a version to compare it with the values in force, or to restore it."))


def changed_text(version: Mapping[str, Any]) -> str:
    """What a version changed."""
    if version["version"] == 1:
        return t("starting values")
    moved = [f"{name} {value_text(before)} → {value_text(after)}" for name, before, after in version["changed"]]
    said = ", ".join(moved) or t("sources only")
    return t("{whose}: {what}", whose=version["user_id"], what=said) if version["user_id"] else said


def compare(sign_in: SignIn, limits: Limits, version: Mapping[str, Any]) -> None:
    """The version against the values in force."""
    differing = [
        {
            "": name,
            t("then (version {n})", n=version["version"]): value_text(value),
            t("now (version {n})", n=limits.version): value_text(limits.values[name]),
        }
        for name, (value, _) in version["in_force"].items()
        if name in limits.values and value != limits.values[name]
    ]
    with st.container(border=True):
        if not differing:
            st.markdown(t("Version {n} has the values that are in force.", n=version["version"]))
            return
        tables.show(differing)
        if sign_in.may_change:
            reason_field("restore-reason")
            override = st.checkbox(t("Even where a guard holds a raise back"), key="restore-override")
            label = t("Restore version {n}", n=version["version"])
            st.button(
                label,
                type="primary",
                key="restore",
                on_click=restore,
                args=(sign_in, version["version"], limits.version, override),
            )


def restore(sign_in: SignIn, version: int, seen: int, override: bool) -> None:
    """A new version with the values of an old one, in place of those that were compared with it."""
    act(
        lambda why: data.admin(sign_in).rollback(version, why, override_guard=override, limits_version=seen),
        "restore-reason",
        lambda answer: t("Version {version} has the values of version {to}.", version=answer.version, to=version),
    )  # fmt: skip
