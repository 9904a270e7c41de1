"""The pages on which somebody decides: Settings, Sizing, windows, versions, plan and preview, beside the log."""

import html
import re
from collections.abc import Callable
from datetime import datetime

from streamlit.testing.v1 import AppTest

from tests.pages.test_pages import text_of
from tests.truth.answers import Said
from tests.truth.decisions import decided_again, demands, known_days
from tests.truth.diary import SECOND
from tests.truth.scheduled import MAX, Agenda, Operators
from tests.truth.screens import Open, clock, figures, lasting


def read_deciding_pages(play: Operators, said: Said, when: str, opens: Open) -> None:
    """Each part of a page, in English, on the wall clock of the limiter."""
    parts: dict[tuple[str, str], Callable[[Operators, Said, str, AppTest], None]] = {
        ("settings", "settings"): settings, ("settings", "box"): box, ("settings", "audit"): audit,
        ("limits", "windows"): windows, ("limits", "history"): versions, ("checklist", "plan"): plan,
        ("sizing", ""): sizing,
    }  # fmt: skip
    for (page, tab), reads in parts.items():
        app = opens(page, tz=str(play.diary.zone), **({"tab": tab} if tab else {}))
        assert not app.exception and not app.error, (page, tab, app.exception, app.error)
        reads(play, said, f"{when} {page} {tab}", app)
    most = play.diary.limit(play.now)
    preview(play, said, f"{when} preview", opens("limits", tz=str(play.diary.zone), propose=str(most - 3)), most - 3)


def settings(play: Operators, said: Said, where: str, app: AppTest) -> None:
    shown = text_of(app)
    for name, value in {"LIMITER_TIMEZONE": str(play.diary.zone), "LIMITER_LANG": "en"}.items():
        said(f"{where} {name}", f"**{name}** · environment  \n`{value}`" in shown, True)
    said(f"{where} secret", "**LIMITER_ALERT_URLS** · environment  \n`set (hidden)`" in shown, True)


def box(play: Operators, said: Said, where: str, app: AppTest) -> None:
    log, now, shown = play.diary, play.now, figures(app)
    said(f"{where} RAM", shown["RAM"], ("4.0 GB", "counts as 4 GB"))
    said(f"{where} comfortable", shown["Comfortable"][0], "150")
    said(f"{where} up", shown["Limiter up"][0], lasting(round((now - log.ups[-1][0]) / 1000)))
    first = log.samples[0].at // (5 * SECOND) * 5 * SECOND
    said(f"{where} since", shown["History since"], (clock(log, first, now)[:-6], lasting(round((now - first) / 1000))))


def named(who: str, *, exact: bool = False) -> str:
    """As the histories name who did it; `exact`: with the id of the key."""
    by_themselves = {"window": "a window", "plan": "the launch plan", "probation": "the probation"}
    name, _, key = who.partition("#")
    return by_themselves.get(who, f"{name} (key {key})" if exact and key else name)


def sentences(log: Agenda) -> list[tuple[int, str]]:
    """What the audit says of each thing done."""
    changes, found = iter(log.changes()), list[tuple[int, str]]()
    for (at, action, target), (who, why) in zip(log.done, log.by, strict=True):
        change = next(changes) if target == "limits" and action != "confirm" else None
        moved, because = (change.moved, change.why) if change is not None else ("", why)
        number, by = target.split()[0], named(who, exact=True)
        said = {
            "limits": f"{by} · {moved}", "window": f"window: {moved}", "window_over": f"end of the window: {moved}",
            "unconfirmed": f"taken back: {moved}", "tripped": f"taken back: {moved}",
            "plan": f"launch plan: {moved}" if moved else f"{by} planned {number} steps",
            "windows": f"{by} set {number} windows", "held": f"launch plan held: {target}",
            "confirm": f"{by} confirmed version {sum(one <= at for one, _ in log.versions()) + 1}",
            "drain": f"{by} began a drain", "drain_back": f"{by} ended the drain",
        }[action]  # fmt: skip
        by_guard = action in ("held", "tripped")
        found.append((at, f"{said} · {'CPU ' if by_guard else because}"))
    return found


def audit(play: Operators, said: Said, where: str, app: AppTest) -> None:
    log = play.diary
    body = next(one.proto.body for one in app.get("html") if "<ul class='lim-list lim-times'" in one.proto.body)
    rows = [(at, html.unescape(said)) for at, said in re.findall(r"<li><span>([^<]*)</span><span>([^<]*)</span>", body)]
    rows = [row for row in rows if " made key " not in row[1]][::-1]
    for (at, sentence), (done_at, is_so) in zip(rows, sentences(log), strict=True):
        found = at, sentence[: len(is_so)] if is_so.endswith("CPU ") else sentence
        said(f"{where} {sentence}", found, (clock(log, done_at, play.now), is_so))


def windows(play: Operators, said: Said, where: str, app: AppTest) -> None:
    log, now = play.diary, play.now
    said(f"{where} now", f"Now: **{log.limit(now)}** (live change)" in text_of(app), True)
    (table,) = [one.value for one in app.dataframe if "why" in one.value.columns]
    found = [(row["time"], row[MAX]) for row in table.to_dict("records")]
    is_so = [(clock(log, at, now), most) for at, most in log.coming(now, log.limit(now), 8)]
    said(f"{where} coming", found, is_so)
    lines = [f"**{one.begins} – {one.ends}** · Sun · **{one.most}**" for one in log.windows]
    said(f"{where} windows", [one.value for one in app.markdown if " – " in one.value and "·" in one.value], lines)


def versions(play: Operators, said: Said, where: str, app: AppTest) -> None:
    log = play.diary
    rows = app.dataframe[0].value.to_dict("records")[::-1][1:]
    for row, one in zip(rows, log.changes(), strict=False):
        is_so = (clock(log, one.at, play.now), named(one.who), one.moved, one.why)
        said(f"{where} {row['version']}", (row["time"], row["who"], row["what"], row["reason"]), is_so)
    said(f"{where} versions", len(rows), len(log.limits) - 1)


def plan(play: Operators, said: Said, where: str, app: AppTest) -> None:
    log, now = play.diary, play.now
    rows = app.dataframe[0].value.to_dict("records")
    found = [(row["time"], row[MAX], row["state"], row["detail"]) for row in rows]
    is_so = [(clock(log, o["at"], now), o["most"], o["status"], clock(log, o["applied_at"], now)) for o in log.steps]
    said(f"{where} steps", found, is_so)


def preview(play: Operators, said: Said, where: str, app: AppTest, most: int) -> None:
    log, shown = play.diary, text_of(app)
    wanted = decided_again(log, play.now, {MAX: most})
    more = wanted["refused_then"] - wanted["refused_now"]
    users = wanted["users_affected"]
    sentence = (
        f"The {wanted['demands']} starts of the last 7 days, decided again: {wanted['refused_now']} refused then, "
        f"**{wanted['refused_then']}** under these values ({'+' if more > 0 else ''}{more}, "
        f"{users} user{'s' if users != 1 else ''} affected)."
    )
    said(f"{where} replay", sentence if sentence in shown else shown, sentence)
    held = len(log.held(play.now))
    said(f"{where} slots", f"{held} / {most} slots ({1000 * held // most / 10:.1f}%)" in shown, True)


def sizing(play: Operators, said: Said, where: str, app: AppTest) -> None:
    log, now, shown = play.diary, play.now, text_of(app)
    came, known = demands(log, now), known_days(log, now)
    first, lost = sum(refused for _, refused, _ in came), sum(gone for _, _, gone in came)
    for sentence in (
        f"Too early to say: a forecast needs 14 days of history, there are {known}.",
        f"Too little data: it takes 14 days of history and 50 demands; there are {known} and {len(came)}.",
        f"**{lost} of {len(came)} demands never got a slot ({100 * lost / len(came):.2f}%); "
        f"refused at first: {first} ({100 * first / len(came):.2f}%).**",
    ):
        said(f"{where} {sentence}", sentence in shown, True)


def read_held(play: Operators, said: Said, when: str, opens: Open) -> None:
    """The step that a guard holds is the first thing that Overview tells."""
    log, shown = play.diary, text_of(opens("overview", tz=str(play.diary.zone)))
    step = next(one for one in log.steps if one["status"] == "held")
    begins = f"Launch plan held: **{step['most']}** bots since {clock(log, step['at'], play.now)} (CPU "
    said(f"{when} to do", begins in shown, True)


def read_waiting(play: Operators, said: Said, when: str, opens: Open) -> None:
    """A step that is due while a window is open is told with what it waits for, not as one of an instant to come."""
    log, now, shown = play.diary, play.now, text_of(opens("overview", tz=str(play.diary.zone)))
    step = next(one for one in log.steps if one["status"] == "planned")
    window = next(one for one in log.windows if one.holds(datetime.fromtimestamp(now / 1000, log.zone)))
    sentence = f"Launch plan: **{step['most']}** bots, due at {clock(log, step['at'], now)}: it waits for the end of"
    said(f"{when} to do", f"{sentence} the window, {window.ends}" in shown, True)


def read_drain(play: Operators, said: Said, when: str, opens: Open) -> None:
    """How far it is."""
    log, now, app = play.diary, play.now, opens("overview", tz=str(play.diary.zone))
    shown, drain, left = text_of(app), log.drains[-1], len(log.held(now))
    gone = sum(stay.end is not None and drain.since <= stay.end for stay in log.stays)
    said(f"{when} since", f"Drain since {clock(log, drain.since, now)}: every start is refused." in shown, True)
    said(f"{when} reason", drain.reason in shown, True)
    said(f"{when} left", f"{left} are left; they are ended at " in shown, True)
    (progress,) = [one.proto.text for one in app.get("progress")]
    said(f"{when} gone", progress, f"{gone} of {gone + left} bots gone")
