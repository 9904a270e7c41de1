"""Change a limit without hurting anyone, and be able to go back."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import streamlit as st

from limiter.client import Refused
from limiter.console import choices, data, events, frame, tables, times
from limiter.console.actions import act, reason_field
from limiter.console.signins import SignIn
from limiter.console.words import number, percent, t, tn
from limiter.rules.guards import Guard, Readings, check
from limiter.rules.limits import USER_LIMITS, Limits
from limiter.store import analysis, reader
from limiter.system_limits import CATALOGUE, LIMITS, Limit, Value

sign_in = frame.begin()
UNDO_SECONDS = 600
TABS = {"global": t("System"), "users": t("By user"), "history": t("Versions")}
SOURCES = {"live": t("live change"), "environment": t("environment"), "env_file": ".env", "default": t("default")}
MEANINGS = {
    "MAX_CONCURRENT_BOTS": t("Bots running at once, all users together; 0 refuses every start but a replacement."),
    "MAX_BOTS_PER_USER": t("Bots running at once for one user; 0 suspends."),
    "MAX_TRADES_PER_DAY": t("Trades of one user a day; a trade that closes a position is never refused."),
    "ALERT_THRESHOLD": t("Percentage of MAX_CONCURRENT_BOTS from which the operator is alerted."),
    "WEBSOCKET_RECONNECT": t("Seconds a bot waits before it reconnects its feed; told to the bots."),
    "MAX_TOKENS_PER_MINUTE": t("Tokens of the feed in any 60 s, all bots together."),
    "MAX_SIGNALS_PER_MINUTE": t("Signals in any 60 s, all bots together."),
    "MAX_SIGNALS_PER_MINUTE_PER_USER": t("Signals of one user in any 60 s; empty: no limit."),
    "BOT_LEASE_SECONDS": t("Seconds a bot keeps its slot without a heartbeat."),
}


# -- the system's limits


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
        value = st.session_state[key]
        if value is None and not limit.optional:
            continue
        if value != limits.values[limit.name]:
            found[limit.name] = "none" if value is None else int(value) if value == int(value) else value
    return found


def field(limits: Limits, limit: Limit) -> None:
    """One limit: its value, unit, meaning, and where the value comes from."""
    setting, configured = limits.settings[limit.name], limits.configured[limit.name]
    whole = limit.whole
    value = setting.value if whole or setting.value is None else float(setting.value)
    step = 10 if limit.name == "MAX_CONCURRENT_BOTS" else 1
    st.number_input(
        f"{limit.name} ({limit.unit})",
        int(limit.minimum) if whole else float(limit.minimum),
        int(limit.maximum) if whole else float(limit.maximum),
        value,  # type: ignore[arg-type]  # int with int, float with float: as the bounds beside it
        step if whole else 0.5,
        key=field_key(limits, limit.name),
        help=MEANINGS[limit.name],
        placeholder=t("no limit"),
        disabled=not sign_in.may_change,
    )
    said = [SOURCES[setting.source]]
    if setting.source != "live" and setting.value != limit.default:
        said.append(t("default {value}", value=events.value(limit.default)))
    if setting.changed_by and setting.source == "live" and setting.changed_at:
        said.append(f"{setting.changed_by}, {times.when(setting.changed_at)}")
    st.caption(" · ".join(said))
    if limits.hidden(limit.name):
        st.caption(t("⚠ hides {value} of the {source}", value=events.value(configured.value), source=SOURCES[configured.source]))
        if sign_in.may_change:
            st.button(t("Take the live change back"), key=f"back-{limit.name}", type="tertiary", icon=":material/undo:", on_click=propose, args=({limit.name: None},))


def system_limits(limits: Limits) -> None:
    """The form, the preview, and what they lead to."""
    kept = base(limits)
    if kept.version != limits.version:
        conflict(limits)
    left, right = st.columns([2.1, 1], gap="medium")
    with left, st.container(border=True):
        for row in range(0, len(CATALOGUE), 3):
            for column, limit in zip(st.columns(3), CATALOGUE[row : row + 3], strict=False):
                with column:
                    field(kept, limit)
        if sign_in.may_change:
            st.button(t("Preview"), type="primary", key="preview-button", icon=":material/preview:", on_click=propose)
        else:
            st.caption(t("This key may read only: changes need a key of scope admin:write."))
    with right, st.container(border=True):
        st.subheader(t("Guards"), anchor=False)
        frame.live(frame.ticking(10))(guards)(sign_in)
    if "preview" in st.session_state:
        preview(kept)


def conflict(limits: Limits) -> None:
    """Somebody else changed the limits while this form was being filled."""
    newest = data.read(reader.limit_versions, limit=1)[0]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(t("Version {version} by {who} at {time}: “{why}”. Reload before you apply yours.", version=newest["version"], who=newest["actor"], time=times.when(newest["at"]), why=newest["reason"]))
        st.button(t("Reload"), key="reload", icon=":material/refresh:", on_click=start_over)


def start_over() -> None:
    """Forget what was typed."""
    st.session_state.pop("edited-limits", None)
    st.session_state.pop("preview", None)
    st.session_state["undone"] = st.session_state.get("undone", 0) + 1


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


GUARDS = {
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
        return f"– {GUARDS[row['name']]} · {t('no reading')}"
    broken = {"≥": "<", "≤": ">"}[sign]
    figures = f"{number(row['value'], 0 if row['value'] >= 10 else 1)} {broken if row['held'] else sign} {number(row['threshold'])} {unit}"
    return f"{'✗' if row['held'] else '✓'} {GUARDS[row['name']]} **{figures.strip()}**"


def guards(sign_in: SignIn) -> None:
    """What would hold a raise of MAX_CONCURRENT_BOTS back now."""
    found = readings(sign_in)
    if found is None:
        st.caption(t("The limiter does not answer: no reading."))
        return
    checked = check(found, times.now())
    st.markdown("  \n".join(guard_line(guard) for guard in checked))
    held = sum(guard.held for guard in checked)
    st.caption(tn("{n} guard holds a raise back.", "{n} guards hold a raise back.", held) if held else t("Nothing holds a raise back."))
    stats = data.live(sign_in).stats
    if stats is not None:
        system = stats["system"]
        st.caption(
            t("Advice for {ram} GB: {n} bots, comfortably.", ram=number(system["ram_total_gb"] or 0, 1), n=number(system["recommended_max_bots"]))
        )


# -- preview, apply, undo


def propose(given: Mapping[str, Any] | None = None) -> None:
    """Ask the limiter what the fields (or a given change) would do."""
    kept: Limits = st.session_state["edited-limits"]
    changes = dict(given) if given is not None else changes_of(kept)
    st.session_state.pop("preview", None)
    if not changes:
        frame.receipt(t("No field differs from the value in force."), good=False)
        return
    try:
        answer = data.admin(sign_in).preview(changes)
    except Refused as refused:
        frame.receipt(str(refused), good=False)
        return
    st.session_state["preview"] = {"changes": changes, "answer": answer}


def shown_change(limits: Limits, name: str, value: Any) -> str:
    """One change, from and to."""
    after = limits.configured[name].value if value is None else None if value == "none" else value
    tail = f" ({SOURCES[limits.configured[name].source]})" if value is None else ""
    return f"`{name}` **{events.value(limits.values[name])} → {events.value(after)}**{tail}"


def preview(limits: Limits) -> None:
    """What it would do, and the way to do it."""
    proposed = st.session_state["preview"]
    changes, answer = proposed["changes"], proposed["answer"]
    capacity, replay = answer["capacity"], answer["replay"]
    with st.container(border=True, key="preview-card"):
        st.subheader(t("Preview"), anchor=False)
        st.markdown("  \n".join(shown_change(limits, name, value) for name, value in changes.items()))
        st.html(
            f"<div class='lim-status'>{frame.status_badge(capacity['status'])}<span>"
            + t("{current} / {limit} slots ({percent})", current=number(capacity["current_bots"]), limit=number(capacity["max_bots"]), percent=percent(capacity["percent_used"]))
            + "</span></div>"
        )
        if answer["over_by"]:
            st.warning(t("{n} over the limit: no running bot is cut, new starts are refused until enough have stopped.", n=number(answer["over_by"])))
        st.markdown(replay_text(replay))
        raised = "MAX_CONCURRENT_BOTS" in changes and capacity["max_bots"] > limits.whole("MAX_CONCURRENT_BOTS")
        held = [guard for guard in answer["guards"] if guard["held"]] if raised else []
        stats = data.live(sign_in).stats
        advised = stats["system"]["recommended_max_bots"] if stats else None
        if raised and advised is not None and capacity["max_bots"] > advised:
            st.caption(t("⚠ {limit} is above the {n} that this box carries comfortably.", limit=number(capacity["max_bots"]), n=number(advised)))
        override = False
        if held:
            st.error("  \n".join([t("A guard holds this raise back:"), *(guard_line(guard) for guard in held)]))
            override = st.checkbox(t("Raise it all the same; the reason is kept in the audit"), key="override")
        grave = bool(answer["over_by"]) or (raised and advised is not None and capacity["max_bots"] > advised * 1.2)
        typed = not grave or confirm(capacity["max_bots"])
        reason_field("limits-reason")
        with st.container(horizontal=True):
            st.button(t("Apply"), type="primary", key="apply", on_click=apply, args=(override,), disabled=not typed or bool(held and not override))
            st.button(t("Dismiss"), key="dismiss", on_click=lambda: st.session_state.pop("preview", None))


def confirm(value: int) -> bool:
    """What cuts deep is typed, not clicked."""
    return st.text_input(t("Type the new limit, {n}, to confirm", n=value), key="confirm").strip() == str(value)


def replay_text(replay: Mapping[str, int]) -> str:
    """The last week decided again, in a sentence."""
    if not replay["demands"]:
        return t("No start was asked for in the last {days} days, so there is nothing to replay.", days=replay["days"])
    more = replay["refused_then"] - replay["refused_now"]
    known = {"n": number(replay["demands"]), "now": number(replay["refused_now"]), "then": number(replay["refused_then"])}
    said = t("The {n} starts of the last {days} days, decided again: {now} refused then, **{then}** under these values", days=replay["days"], **known)
    tail = t("no difference") if not more else tn("{n} user affected", "{n} users affected", replay["users_affected"])
    return f"{said} ({'+' if more > 0 else ''}{number(more)}, {tail})."


def apply(override: bool) -> None:
    """Send the change under the version that the form was filled from."""
    kept: Limits = st.session_state["edited-limits"]
    changes = st.session_state["preview"]["changes"]

    def said(answer: dict[str, Any]) -> str:
        moved = ", ".join(f"{one['name']} {events.value(one['from'])} → {events.value(one['to'])}" for one in answer["changed"])
        return t("Version {version}: {moved}", version=answer["version"], moved=moved or t("nothing changed"))

    answer = act(
        lambda why: data.admin(sign_in).change_limits(changes, why, version=kept.version, override_guard=override), "limits-reason", said
    )
    if answer is not None:
        start_over()
        st.session_state["undo"] = {"to": kept.version, "version": answer["version"], "text": said(answer), "at": time.time()}


def undo_banner(limits: Limits) -> None:
    """For ten minutes, the way back."""
    made = st.session_state.get("undo")
    if made is None or time.time() - made["at"] > UNDO_SECONDS or limits.version != made["version"]:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="undo-bar"):
        st.success(made["text"], icon=":material/check:")
        st.button(t("Undo"), key="undo-button", icon=":material/undo:", on_click=undo, args=(made,))


def undo(made: Mapping[str, Any]) -> None:
    """Back to the version before, as a new one."""
    try:
        answer = data.admin(sign_in).rollback(made["to"], t("undo of version {version}", version=made["version"]))
    except Refused as refused:
        frame.receipt(str(refused), good=False)
        return
    st.session_state.pop("undo", None)
    start_over()
    frame.receipt(t("Undone: version {version} has the values of version {to}.", version=answer["version"], to=made["to"]))


# -- one user's limits


def users(limits: Limits) -> None:
    """Overrides of the limits of scope user."""
    user = choices.text(t("User"), "of", placeholder=t("User to give own limits…"), icon=":material/person_search:", width=320)
    now = times.now()
    if user:
        one_user(user, limits, now)
    st.subheader(t("Users with own limits"), anchor=False)
    if not limits.overrides:
        st.caption(t("Nobody has own limits: the system's hold for everyone."))
        return
    rows = [
        {
            t("user"): name,
            t("limits"): ", ".join(f"{limit} {events.value(value)}" for limit, value in own.limits.items()),
            t("state"): t("in force") if own.holds(now) else t("over"),
            t("until"): times.when(own.until) if own.until else t("for good"),
            t("reason"): own.reason,
            t("who"): own.changed_by,
        }
        for name, own in sorted(limits.overrides.items(), key=lambda item: (not item[1].holds(now), item[0]))
    ]
    tables.show(rows)


def one_user(user: str, limits: Limits, now: int) -> None:
    """The form for one user."""
    own = limits.overrides.get(user)
    held = own is not None and own.holds(now)
    with st.container(border=True):
        st.markdown(f"**{user}** · " + (t("own limits in force") if held else t("the system's limits hold")))
        values: dict[str, Any] = {}
        for column, name in zip(st.columns(len(USER_LIMITS)), USER_LIMITS, strict=True):
            limit = LIMITS[name]
            given = own.limits.get(name) if own is not None and held else None
            with column:
                values[name] = st.number_input(
                    name, int(limit.minimum), limit.maximum, int(given) if given is not None else None, 1,
                    key=f"own-{name}-{user}-{limits.version}",
                    placeholder=t("system: {value}", value=events.value(limits.values[name])), help=MEANINGS[name],
                )  # fmt: skip
        until = st.datetime_input(
            t("Until (empty: for good)"), None if own is None or own.until is None else times.local(own.until).replace(tzinfo=None),
            format="DD/MM/YYYY", key=f"own-until-{user}-{limits.version}",
        )  # fmt: skip
        if not sign_in.may_change:
            return
        reason_field("own-reason")
        with st.container(horizontal=True):
            st.button(t("Save"), type="primary", key="own-save", on_click=save_user, args=(user, values, until))
            if own is not None:
                st.button(t("Take own limits back"), key="own-clear", on_click=clear_user, args=(user,))


def save_user(user: str, values: Mapping[str, Any], until: datetime | None) -> None:
    """Replace the user's set."""
    wanted = {name: value for name, value in values.items() if value is not None}
    if not wanted:
        frame.receipt(t("Give at least one limit a value, or take the user's limits back."), good=False)
        return
    end = None if until is None else times.rfc3339(round(until.replace(tzinfo=times.zone()).timestamp() * 1000))
    act(lambda why: data.admin(sign_in).set_user_limits(user, wanted, why, until=end), "own-reason", t("Saved for {user}.", user=user))


def clear_user(user: str) -> None:
    """The system's limits hold again."""
    act(lambda why: data.admin(sign_in).clear_user_limits(user, why), "own-reason", t("The system's limits hold for {user} again.", user=user))


# -- versions


def history(limits: Limits) -> None:
    """Every version; a selected one can be compared and restored."""
    versions = data.read(reader.limit_versions, limit=200)
    if len(versions) < 2:
        st.caption(t("No change since the installation; the starting values came from the environment or the defaults."))
    rows = [
        {
            t("version"): one["version"],
            t("time"): times.when(one["at"]),
            t("who"): one["actor"],
            t("what"): changed_text(one),
            t("reason"): one["reason"],
            t("kind"): one["kind"] + (f" · {one['user_id']}" if one["user_id"] else ""),
        }
        for one in versions
    ]
    if not rows:
        return
    picked = tables.show(rows, key=f"versions-{limits.version}", on_select="rerun", selection_mode="single-row")
    tables.csv_button(rows, "limit-versions")
    if picked.selection.rows:
        compare(limits, versions[picked.selection.rows[0]])
    else:
        st.caption(t("Select a version to compare it with the values in force, or to restore it."))


def changed_text(version: Mapping[str, Any]) -> str:
    """What a version changed."""
    if version["version"] == 1:
        return t("starting values")
    moved = [f"{name} {events.value(before)} → {events.value(after)}" for name, before, after in version["changed"]]
    return ", ".join(moved) or t("sources only")


def compare(limits: Limits, version: Mapping[str, Any]) -> None:
    """The version against the values in force."""
    differing = [
        {"": name, t("then (version {n})", n=version["version"]): events.value(value), t("now (version {n})", n=limits.version): events.value(limits.values[name])}
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
            st.button(label, type="primary", key="restore", on_click=restore, args=(version["version"], override))


def restore(version: int, override: bool) -> None:
    """A new version with the values of an old one."""
    act(
        lambda why: data.admin(sign_in).rollback(version, why, override_guard=override), "restore-reason",
        lambda answer: t("Version {version} has the values of version {to}.", version=answer["version"], to=version),
    )  # fmt: skip


limits = data.read(analysis.limits)
st.title(t("Limits"), anchor=False)
if limits is None:
    st.info(t("The limiter has not started on this database yet: it writes the limits at its first start."))
    st.stop()
assert limits is not None
undo_banner(limits)
tab = choices.tabs(t("Part"), "tab", TABS)
st.caption(t("Version {n} is in force.", n=limits.version))
{"global": system_limits, "users": users, "history": history}[tab](limits)
