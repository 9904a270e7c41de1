"""What would hold a raise of MAX_CONCURRENT_BOTS back now."""

import html
from collections.abc import Mapping
from typing import Any

import streamlit as st

from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.words import number, t, tn
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules.guards import Guard, Readings, check
from limiter.store import analysis


def readings(sign_in: SignIn) -> Readings | None:
    """What the guards look at: means of the last minute."""
    stats = data.live(sign_in).stats
    if stats is None:
        return None
    now = times.now()
    rows = data.read(analysis.series, now - 60_000, now).rows
    newest = data.read(analysis.newest)
    cpu = [row.cpu for row in rows if row.cpu is not None]
    ram = [row.ram for row in rows if row.ram is not None]
    return Readings(
        cpu_percent=sum(cpu) / len(cpu) if cpu else None,
        ram_percent=sum(ram) / len(ram) if ram else None,
        tokens_per_minute=stats["rates"]["tokens_last_minute"],
        last_token_at=data.read(analysis.last_token),
        decision_p99_ms=stats["decisions"]["p99_ms"],
        sample_age_seconds=(now - newest.at) / 1000 if newest is not None else stats["uptime_seconds"],
        bots=stats["capacity"]["current_bots"],
    )


def guard_names() -> dict[str, str]:
    """The guards in words."""
    return {
        "cpu": "CPU",
        "ram": "RAM",
        "feed_lag": t("Tokens a minute"),
        "decision_lag": t("Decisions, p99"),
        "stale": t("Last sample"),
    }


def guard_line(guard: Guard | Mapping[str, Any]) -> str:
    """A guard with its figures, as markdown."""
    row = guard.as_dict() if isinstance(guard, Guard) else guard
    unit = {"cpu": "%", "ram": "%", "decision_lag": "ms", "stale": "s"}.get(row["name"], "")
    sign = "≥" if row["name"] == "feed_lag" else "≤"
    if row["value"] is None:
        return f"– {guard_names()[row['name']]} · {t('no reading')}"
    broken = {"≥": "<", "≤": ">"}[sign]
    found = number(row["value"], 0 if row["value"] >= 10 or row["value"] == int(row["value"]) else 1)
    figures = f"{found} {broken if row['held'] else sign} {number(row['threshold'])} {unit}"
    return f"{'✗' if row['held'] else '✓'} {guard_names()[row['name']]} **{figures.strip()}**"


def guards(sign_in: SignIn) -> None:
    """What would hold a raise of MAX_CONCURRENT_BOTS back now."""
    found = readings(sign_in)
    if found is None:
        st.caption(t("The limiter does not answer: no reading."))
        return
    checked = check(found, times.now())
    if held := sum(guard.held for guard in checked):
        said = tn("{n} guard holds a raise back.", "{n} guards hold a raise back.", held)
        st.html(f"<span class='lim-badge lim-FULL'>✗ {html.escape(said)}</span>")
    else:
        st.html(f"<span class='lim-badge lim-HEALTHY'>✓ {html.escape(t('Nothing holds a raise back.'))}</span>")
    st.markdown("  \n".join(guard_line(guard) for guard in checked))
    stats = data.live(sign_in).stats
    if stats is not None:
        system = stats["system"]
        st.caption(
            t(
                "Advice for {ram} GB: {n} bots, comfortably.",
                ram=number(system["ram_total_gb"] or 0, 1),
                n=number(system["recommended_max_bots"]),
            )
        )
