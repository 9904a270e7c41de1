"""What would hold a raise of MAX_CONCURRENT_BOTS back now."""

import streamlit as st

from limiter.answers.capacity import Guard
from limiter.console import data
from limiter.console.kit.words import number, percent, t, tn
from limiter.console.sign_in.sign_ins import SignIn


def guard_names() -> dict[str, str]:
    """The guards in words."""
    return {
        "cpu": "CPU",
        "ram": "RAM",
        "feed_lag": t("Tokens a minute"),
        "decision_lag": t("Decisions, p99"),
        "stale": t("Last sample"),
    }


def guard_line(row: Guard) -> str:
    """A guard of the limiter's answer with its figures, as markdown."""
    sign = "≥" if row.name == "feed_lag" else "≤"
    if row.value is None:
        return f"– {guard_names()[row.name]} · {t('no reading')}"
    broken = {"≥": "<", "≤": ">"}[sign]
    found = number(row.value, 0 if row.value >= 10 or row.value == int(row.value) else 1)
    figures = f"{found} {broken if row.held else sign} {with_unit(row)}"
    return f":material/{'block' if row.held else 'check'}: {guard_names()[row.name]} **{figures}**"


def with_unit(row: Guard) -> str:
    """What its reading is held against."""
    if row.name in ("cpu", "ram"):
        return percent(row.threshold, 0)
    unit = {"decision_lag": "ms", "stale": "s"}.get(row.name)
    return f"{number(row.threshold)} {unit}" if unit else number(row.threshold)


def guards(sign_in: SignIn) -> None:
    """What would hold a raise of MAX_CONCURRENT_BOTS back now: by the readings that the limiter itself decides by."""
    stats = data.live(sign_in).stats
    if stats is None:
        st.caption(t("The limiter does not answer: no reading."))
        return
    checked = stats.guards
    if held := sum(guard.held for guard in checked):
        said = tn("{n} guard holds a raise back.", "{n} guards hold a raise back.", held)
        st.badge(said, icon=":material/block:", color="red")
    else:
        st.badge(t("Nothing holds a raise back."), icon=":material/check:", color="green")
    st.markdown("  \n".join(guard_line(guard) for guard in checked))
    system = stats.system
    st.caption(
        t(
            "Advice for {ram} GB: {n} bots, comfortably.",
            ram=number(system.ram_total_gb or 0, 1),
            n=number(system.recommended_max_bots),
        )
    )
