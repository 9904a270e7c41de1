"""What fired, who was told, is it over?"""

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from limiter.answers.alerts import ChannelRow, IncidentRow
from limiter.client import Refused
from limiter.clock import rfc3339
from limiter.console import data, frame
from limiter.console.charts import statuses
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.cards import Card, cards, timeline
from limiter.console.kit.receipts import receipt
from limiter.console.kit.words import actor_text, lasting, number, percent, reason_text, t, tn, value_text, view
from limiter.console.parts import happenings, moment
from limiter.console.view import DAY
from limiter.store import read

sign_in = frame.begin()
DAYS_SHOWN = 30
STATES = {"open": t("Open now"), "acknowledged": t("Acknowledged"), "resolved": t("Resolved")}
DELIVERY = {"sent": ":material/check:", "failed": ":material/close:", "pending": ":material/hourglass_empty:"}


def day_bar() -> None:
    """A cell a day, tinted by the highest status that it reached."""
    now = times.now()
    rows = data.hours(now - (DAYS_SHOWN + 1) * DAY, now)  # with 25 hours in one of them, the first has all of its
    title = t("Highest status of each of the last 30 days")
    st.caption(f"{title}. {t('Click on a day to see who held which slot at its peak.')}")
    moment.chart(statuses.days(rows, view(), until=now, shown=DAYS_SHOWN), "days", title, DAY)


def figures(counts: Mapping[str, int], channels: Sequence[ChannelRow]) -> None:
    """How things stand."""
    failing = [channel.name for channel in channels if not channel.ok]
    limits = data.read(read.limits.read)
    threshold = float(limits.values["ALERT_THRESHOLD"] or 0) if limits else 80.0
    cards(
        [
            Card(
                t("Open now"),
                number(counts["open"]),
                t("nobody looks after them") if counts["open"] else t("all calm"),
                "bad" if counts["open"] else "",
            ),
            Card(
                t("Acknowledged"),
                number(counts["acknowledged"]),
                t("somebody is on it") if counts["acknowledged"] else "",
            ),
            Card(
                t("Channels"),
                number(len(channels)),
                t("failing: {names}", names=", ".join(failing))
                if failing
                else t("all arrive")
                if channels
                else t("nobody is told"),
                "said" if failing or not channels else "",
            ),
            Card(t("Threshold"), percent(threshold, 0), t("then 95% and 100%")),
        ]
    )


def card(incident: IncidentRow) -> None:
    """One incident with all that belongs to it."""
    at = times.millis(incident.opened_at)
    refused = sum(incident.refusals.values())
    with st.container(border=True):
        st.markdown(f":material/warning: **{happenings.without_sign(incident.message)}**  \n{summary(incident, at)}")
        sent = Counter(f"{DELIVERY[one.state]} {one.channel}" for one in incident.deliveries)
        told = [f"{text} ×{n}" if n > 1 else text for text, n in sent.items()]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            said = t("Told: {list}", list=", ".join(told)) if told else t("Nobody was told: no channel is set up.")
            st.caption(said, width="stretch")
            span = {
                "from": rfc3339(at - 600_000)[:19] + "Z",
                "to": rfc3339(end_of(incident) + 600_000)[:19] + "Z",
            }
            st.page_link(
                "history.py", label=t("See it in the history"), icon=":material/show_chart:", query_params=span
            )
            if refused:
                st.page_link(
                    "sessions.py", label=t("Refusals"), icon=":material/block:", query_params={"view": "refusals"}
                )
        with st.expander(t("Course and notes")):
            course(incident)
        if incident.status == "open" and sign_in.may_change:
            with st.container(horizontal=True, vertical_alignment="bottom"):
                key = f"ack-{incident.id}"
                st.text_input(t("What you do about it (not required)"), key=key, max_chars=500)
                st.button(
                    t("Acknowledge"),
                    type="primary",
                    key=f"{key}-button",
                    on_click=acknowledge,
                    args=(incident.id, key),
                )


def end_of(incident: IncidentRow) -> int:
    """When it ended, or now."""
    return times.millis(incident.resolved_at) if incident.resolved_at else times.now()


def summary(incident: IncidentRow, at: int) -> str:
    """Since when, how long, how bad, in one line."""
    lasted = lasting(incident.duration_seconds)
    parts = [
        t("{time}, lasted {age}", time=times.when(at), age=lasted)
        if incident.resolved_at
        else t("since {time} ({age})", time=times.when(at), age=lasted)
    ]
    parts.append(t("peak {n} / {limit}", n=number(incident.peak_bots), limit=number(incident.peak_limit)))
    parts += [f"{number(n)}\u00a0×\u00a0{reason_text(reason)}" for reason, n in incident.refusals.items() if n]
    if incident.acknowledged_by:
        why, by = incident.acknowledged_reason, actor_text(incident.acknowledged_by)
        said = t("acknowledged by {who}: {why}", who=by, why=why) if why else t("acknowledged by {who}", who=by)
        parts.append(said)
    return " · ".join(parts)


def course(incident: IncidentRow) -> None:
    """Crossings, changes and notes in order; a note for afterwards; the whole to take away."""
    timeline(happened(incident))
    if sign_in.may_change:
        key = f"note-{incident.id}"
        with st.form(key, clear_on_submit=True, border=False):
            st.text_area(
                t("Note on this incident"),
                key=f"{key}-text",
                max_chars=500,
                placeholder=t("Cause, what helped, what to change."),
            )
            st.form_submit_button(t("Add note"), on_click=add_note, args=(incident, f"{key}-text"))
    st.download_button(
        t("Report"),
        lambda: report(incident),
        f"incident-{incident.id}.md",
        "text/markdown",
        key=f"report-{incident.id}",
        on_click="ignore",
        icon=":material/download:",
    )


def happened(incident: IncidentRow) -> list[tuple[int, str]]:
    """What belongs to it, oldest first."""
    levels = {"threshold": t("threshold crossed"), "urgent": t("95% crossed"), "full": t("full")}
    found = [
        (times.millis(one.at), f"{levels.get(one.level, one.level)} · {one.bots}/{one.limit}")
        for one in incident.crossings
    ]
    for one in incident.changes:
        moved = ", ".join(f"{row.name} {value_text(row.before)} → {value_text(row.after)}" for row in one.changed)
        found.append((times.millis(one.at), f"{actor_text(one.by)} · {moved} · {one.reason}"))
    found += [(times.millis(note.at), f"{note.text} · {actor_text(note.author)}") for note in incident.notes]
    if incident.resolved_at:
        found.append((times.millis(incident.resolved_at), t("over")))
    return sorted(found)


def report(incident: IncidentRow) -> str:
    """The incident as Markdown."""
    at = times.millis(incident.opened_at)
    lines = [f"# {incident.message}", "", summary(incident, at), ""]
    return "\n".join([*lines, *(f"- {rfc3339(when)} {text}" for when, text in happened(incident)), ""])


def acknowledge(number_of: int, key: str) -> None:
    """Say that somebody looks after it."""
    try:
        data.admin(sign_in).acknowledge(number_of, st.session_state.get(key, "").strip() or None)
        receipt(t("Acknowledged."))
    except Refused as refused:
        receipt(str(refused), good=False)


def add_note(incident: IncidentRow, key: str) -> None:
    """A note at the incident's last instant, so that it belongs to it."""
    if text := st.session_state[key].strip():
        at = incident.resolved_at or rfc3339(times.now())
        try:
            data.admin(sign_in).add_note(text, at=at)
            receipt(t("Note added."))
        except Refused as refused:
            receipt(str(refused), good=False)


def send_test() -> None:
    """A message to every channel; what each answered."""
    try:
        answer = data.admin(sign_in, 15.0).test_alert()
    except Refused as refused:
        receipt(str(refused), good=False)
        return
    said = [f"{DELIVERY[one.state]} {one.channel}" for one in answer.deliveries]
    receipt(
        t("Test: {list}", list=", ".join(said)) if said else t("No channel is set up: see LIMITER_ALERT_URLS."),
        good=bool(said),
    )


def channels_table(channels: Sequence[ChannelRow]) -> None:
    """The channels, how they fare, and the way to try them."""
    st.header(t("Channels"), anchor=False)
    if channels:
        rows = [
            {
                t("channel"): one.name,
                t("state"): t("arrives") if one.ok else t("failing"),
                t("last answer"): one.last_answer or "–",
                t("last sent"): times.when(times.millis(one.sent_at)) if one.sent_at else "–",
                t("waiting"): one.pending,
            }
            for one in channels
        ]
        tables.show(rows)
    else:
        st.caption(
            t(
                "None yet: put Apprise addresses into LIMITER_ALERT_URLS "
                "(Telegram, Discord, e-mail and many more) and restart."
            )
        )
    if sign_in.may_change:
        st.button(t("Send a test"), key="test", icon=":material/send:", on_click=send_test, disabled=not channels)


st.title(t("Alerts"), anchor=False)
try:
    pages = {state: data.admin(sign_in, 5.0).alerts(state=state, limit=50) for state in STATES}
except Refused as refused:
    st.error(str(refused))
    pages = {}
if pages:
    counts = {state: len(page.items) for state, page in pages.items()}
    channels = pages["open"].channels
    figures(counts, channels)
with st.container(border=True):
    frame.live(height=150)(day_bar)()
if pages:
    labels = {
        state: f"{text} {counts[state]}" + ("+" if pages[state].next_cursor else "") for state, text in STATES.items()
    }
    state = url_widgets.tabs(t("State"), "state", labels)
    for incident in pages[state].items:
        card(incident)
    if not counts[state]:
        over = counts["resolved"]
        known = f" {tn('{n} was resolved.', '{n} were resolved.', over)}" if over else ""
        st.success(t("Nothing is open.") + known if state == "open" else t("None."), icon=":material/check:")
    channels_table(channels)
moment.drawer(sign_in)
