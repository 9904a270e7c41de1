"""How is this box set up, and where does each value come from?"""

import json
import platform
import re
from importlib import metadata
from typing import Any

import msgspec
import streamlit as st

from limiter.answers.box import BoxAnswer
from limiter.answers.capacity import AdviceAnswer
from limiter.client import Refused
from limiter.clock import rfc3339
from limiter.config import SETTINGS
from limiter.console import data, frame
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.cards import Card, cards, timeline
from limiter.console.kit.receipts import receipt
from limiter.console.kit.words import language, lasting, memory, number, t, verbatim
from limiter.console.parts import box as carried
from limiter.console.parts import happenings, retention
from limiter.rules.capacity import Box
from limiter.store import read
from limiter.store.location import sqlite_path
from limiter.system_limits import VPS_SIZES
from limiter.units import GIB

sign_in = frame.begin()
TABS = {"settings": t("Settings"), "box": t("This box"), "keys": t("Keys"), "audit": t("Audit")}
SOURCES = {"environment": t("environment"), "env_file": ".env", "default": t("default")}


def shown(name: str, value: Any, secret: bool) -> str:
    """A value as it may be shown: of a secret only whether there is one."""
    if secret and value and not (name == "LIMITER_DATABASE_URL" and str(value).startswith("sqlite:")):
        return t("set (hidden)")
    if isinstance(value, bool):
        return t("yes") if value else t("no")
    if isinstance(value, re.Pattern):
        return str(value.pattern)
    if isinstance(value, tuple):
        return ", ".join(value) or "–"
    return "–" if value is None or value == "" else str(value)


def effective() -> list[dict[str, Any]]:
    """Every setting with its value and source."""
    chosen = data.settings()
    return [
        {
            "name": setting.name,
            "value": shown(setting.name, getattr(chosen, setting.field), setting.secret),
            "source": SOURCES.get(chosen.sources[setting.name], str(chosen.sources[setting.name])),
            "meaning": setting.meaning_in(language()),
        }
        for setting in SETTINGS
    ]


def configuration() -> None:
    """What was read at the start, and from where."""
    rows = effective()
    st.markdown(
        t(
            "Read when the console started, from the environment, then `.env`, then the default; "
            "a change needs a restart. Limits are changed live on their own page."
        )
    )
    with st.grid(2, min_column_width=300, gap="xsmall", border=True):
        for row in rows:
            st.markdown(f"**{row['name']}** · {row['source']}  \n{verbatim(row['value'])}  \n{row['meaning']}")
    with st.expander(t("Copy a diagnostic (no secrets in it)"), icon=":material/content_copy:"):
        st.code(json.dumps(diagnostic(rows), indent=1, ensure_ascii=False), language="json")


def diagnostic(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a helper at a distance needs to know; secrets are masked where `rows` were made."""
    stats = data.live(sign_in).stats
    limits = data.read(read.limits.read)
    told = msgspec.to_builtins(stats) if stats else None
    if told is not None:
        del told["top_users"]
    return {
        "at": rfc3339(times.now()),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {
            name: metadata.version(name) for name in ("streamlit", "sqlalchemy", "starlette", "uvicorn", "pyarrow")
        },
        "schema": data.read(read.database.schema_step),
        "rows": dict(data.read(read.database.tables)),
        "settings": {row["name"]: [row["value"], row["source"]] for row in rows},
        "limits": dict(limits.values) if limits else None,
        "stats": told,
    }


def box() -> None:
    """RAM, advice, database, retention."""
    stats = data.live(sign_in).stats
    advice: AdviceAnswer | None = None
    measured: BoxAnswer | None = None
    try:
        advice, measured = data.admin(sign_in, 2.0).advice(), data.admin(sign_in, 2.0).box()
    except Refused as refused:
        st.warning(str(refused))
    known = data.read(read.history.bounds)
    cards(
        [
            Card(
                "RAM",
                memory(advice.detected_ram_gb * GIB) if advice else "–",
                t("counts as {n} GB", n=number(advice.counts_as_gb)) if advice else "",
            ),
            Card(t("Comfortable"), number(advice.recommended_max_bots) if advice else "–", t("bots on this box")),
            Card(
                t("Database"),
                f"{number(data.read(read.database.size_bytes) / 1e6, 1)} {t('MB')}",
                t("schema {n}", n=data.read(read.database.schema_step)),
            ),
            Card(
                t("History since"),
                times.day(known[0]) if known else "–",
                lasting((times.now() - known[0]) / 1000) if known else "",
            ),
            Card(
                t("Limiter up"),
                lasting(stats.uptime_seconds) if stats else "–",
                t("version {n}", n=stats.version) if stats else t("no answer"),
            ),
        ]
    )
    left, right = st.columns(2, gap="medium")
    if measured is not None:
        with left, st.container(border=True):
            carried.carries(measured)
    with right, st.container(border=True):
        vps(advice)
    if measured is not None:
        with st.container(border=True):
            carried.strangers(measured)
    with st.container(border=True):
        st.header(t("Backup"), anchor=False)
        backup()
    with st.container(border=True):
        retention.show()


def backup() -> None:
    """How it is done: a file has the limiter's own commands, a server its own."""
    if sqlite_path(data.settings().database_url) is None:
        st.markdown(t("The database is on a PostgreSQL server, whose own tools back it up and restore it."))
        st.code("pg_dump -Fc -f limiter.dump limiter\npython -m limiter check", language=None)
        return
    st.markdown(t("A backup is taken while everything runs; a restore needs the limiter stopped."))
    commands = ("backup backup.db", "restore backup.db", "check")
    st.code("\n".join(f"python -m limiter {one}" for one in commands), language=None)


def vps(advice: AdviceAnswer | None) -> None:
    """The sizes of VPS, the detected one marked, and what speaks for a larger one."""
    st.header(t("Which VPS for how many bots"), anchor=False)
    row = Box(advice.detected_ram_gb).counts_as_gb if advice else None
    sizes = [
        {
            "RAM": f"{size.ram_gb} {t('GB')}" + (f" · {t('this box')}" if size.ram_gb == row else ""),
            t("bots"): size.bots,
            t("a month"): t("about ${price}", price=size.price_usd_month),
        }
        for size in VPS_SIZES
    ]
    tables.show(sizes)
    if advice is not None and advice.decision is not None:
        st.markdown(f"**{advice.decision.what}** · {advice.decision.because}")
    found = advice.advice if advice else []
    if found:
        st.markdown("  \n".join(f":material/{'error' if one.strong else 'warning'}: {one.message}" for one in found))
    elif advice:
        st.caption(t("Nothing speaks for a larger box now."))


def keys() -> None:
    """The keys; a new one is shown once."""
    if (made := st.session_state.pop("new-key", None)) is not None:
        st.success(t("Copy it now: it is not shown again."))
        st.code(made, language=None)
    rows = [
        {
            t("id"): key.id,
            t("name"): key.name or "–",
            t("scope"): key.scope,
            t("made"): times.when(key.created_at),
            t("state"): t("revoked {time}", time=times.when(key.revoked_at)) if key.revoked_at else t("good"),
        }
        for key in data.read(read.keys.keys)
    ]
    if rows:
        tables.show(rows)
    if not sign_in.may_change:
        st.caption(t("This key may read only: changes need a key of scope admin:write."))
        return
    left, right = st.columns(2, gap="medium")
    with left, st.form("key", border=True):
        st.markdown(f"**{t('Make a key')}**")
        st.selectbox(t("Scope"), ["bots", "admin:read", "admin:write"], key="key-scope")
        st.text_input(t("Name"), key="key-name", max_chars=64, placeholder=t("Who or what will use it"))
        st.form_submit_button(t("Make"), type="primary", on_click=make_key)
    with right, st.form("revoke", border=True):
        st.markdown(f"**{t('Revoke a key')}**")
        st.selectbox(
            t("Key"),
            [row[t("id")] for row in rows if row[t("state")] == t("good")],
            key="key-id",
            index=None,
            placeholder=t("Choose one"),
        )
        st.text_input(t("Type its id to confirm"), key="key-typed")
        st.form_submit_button(t("Revoke"), on_click=revoke_key)


def make_key() -> None:
    """Ask for one; it is in the answer and nowhere else."""
    try:
        answer = data.admin(sign_in).create_key(st.session_state["key-scope"], st.session_state["key-name"].strip())
        st.session_state["new-key"] = answer.key
    except Refused as refused:
        receipt(str(refused), good=False)


def revoke_key() -> None:
    """End one for good."""
    name = st.session_state["key-id"]
    if not name or st.session_state["key-typed"].strip() != name:
        receipt(t("The id that was typed is not the key's."), good=False)
        return
    try:
        data.admin(sign_in).revoke_key(name)
        receipt(t("Key {id} opens nothing any more.", id=name))
    except Refused as refused:
        receipt(str(refused), good=False)


def audit() -> None:
    """Who changed what, newest first."""
    entries = data.read(read.audit.entries, limit=500)
    if not entries:
        st.info(t("Nobody has changed anything yet."))
        return
    place = st.container(border=True)
    first = tables.page_of(len(entries)) * tables.PAGE
    with place:
        shown = entries[first : first + tables.PAGE]
        timeline([(entry["at"], happenings.action_text(entry, exact=True)) for entry in shown])
    rows = [
        {
            t("time"): rfc3339(entry["at"]),
            t("who"): entry["actor"],
            t("action"): entry["action"],
            t("target"): entry["target"],
            t("reason"): entry["reason"],
            t("detail"): json.dumps(entry["detail"], ensure_ascii=False) if entry["detail"] else "",
        }
        for entry in entries
    ]
    tables.csv_button(rows, "audit")
    st.caption(
        t("The newest 500. Each row is chained to the one before by a hash: `python -m limiter check` verifies it.")
    )


st.title(t("Settings"), anchor=False)
{"settings": configuration, "box": box, "keys": keys, "audit": audit}[url_widgets.tabs(t("Part"), "tab", TABS)]()
