"""What the console's pages show, beside what the log says. Who opens them chooses zone and language."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.truth.answers import Said
from tests.truth.charts import read_charts
from tests.truth.diary import HOUR, MINUTE, SECOND, Diary
from tests.truth.play import Play

DAY = 24 * HOUR
REASONS = {
    "server_full": "server full", "user_limit": "limit of the user", "daily_trades": "trades of the day used up",
    "token_rate": "too many tokens", "signal_rate": "too many signals", "paused": "starts were paused",
    "draining": "stopping or drained",
}  # fmt: skip
Open = Callable[..., AppTest]


def read_pages(play: Play, said: Said, when: str, open_page: Open, but: tuple[str, ...] = ()) -> None:
    """Every page that shows figures `but` these, in English, on the wall clock of the limiter."""
    pages = {
        "overview": overview, "history": history, "sessions": sessions, "usage": usage, "alerts": alerts,
        "limits": limits, "checklist": checklist,
    }  # fmt: skip
    for page, reads in pages.items():
        if page in but:
            continue
        app = open_page(page, tz=str(play.diary.zone))
        assert not app.exception and not app.error, (page, app.exception, app.error)
        header(play, said, f"{when} {page}", app)
        reads(play, said, f"{when} {page}", app)
        read_charts(play, said, when, page, app)
    for view, reads in {"ended": ended, "refusals": refusals, "suspect": suspects}.items():
        if view in but:
            continue
        reads(play, said, f"{when} {view}", open_page("sessions", tz=str(play.diary.zone), view=view))


def header(play: Play, said: Said, where: str, app: AppTest, language: str = "en") -> None:
    """The count that every page begins with."""
    held = play.diary.capacity(play.now)
    now, most, free = held["current_bots"], held["max_bots"], max(0, held["available_slots"])
    percent = f"{held['percent_used']:.1f}"
    wanted = f"**Active Bots: {now} / {most} slots ({percent}%)** · {free} free"
    if language == "fr":
        several = "s" if free > 1 else ""
        percent = percent.replace(".", ",")
        wanted = f"**Bots actifs : {now} / {most} places ({percent}\u202f%)** · {free} libre{several}"
    found = [one.value for one in app.markdown if one.value.startswith(("**Active", "**Bots"))]
    said(f"{where} header", [_spaces(one) for one in found], [_spaces(wanted)])


def _spaces(of: str) -> str:
    return re.sub(r"\s", " ", of)


def figures(app: AppTest) -> dict[str, tuple[str, str]]:
    """The cards by label: figure, and the line beneath it."""
    return {one.label: (one.value, one.delta) for one in app.metric}


def lasting(seconds: int) -> str:
    """A duration of less than two days."""
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if seconds < 600 and seconds % 60:
        return f"{minutes} min {seconds % 60:02d} s"
    return (
        f"{minutes} min"
        if seconds < 3600
        else f"{minutes // 60} h" + (f" {minutes % 60:02d} min" if minutes % 60 else "")
    )


def clock(log: Diary, at: int, now: int) -> str:
    """23:41, with the day where it is not today's."""
    local, today = (datetime.fromtimestamp(one / 1000, log.zone) for one in (at, now))
    return f"{local:%H:%M}" if local.date() == today.date() else f"{local.day} {local:%b %H:%M}"


def last_peak(log: Diary, begin: int, end: int) -> tuple[int, set[str]]:
    """The most bots, and how their last instant may be written: it is known to 5 s."""
    course = log.course(begin, end)
    peak = max(bots for _, _, bots, _ in course)
    until = max(until for _, until, bots, _ in course if bots == peak)
    return peak, {clock(log, at, end) for at in (until, until - 1, until - 5 * SECOND)}


def seen(play: Play) -> int:
    """Until when history knows: the newest sample."""
    return play.diary.samples[-1].at


def overview(play: Play, said: Said, where: str, app: AppTest) -> None:
    log, now, shown = play.diary, play.now, figures(app)
    peak, at = last_peak(log, now - DAY, now)
    said(f"{where} peak", shown["Peak, 24 h"][0], str(peak))
    said(f"{where} peak at", shown["Peak, 24 h"][1] in at or (shown["Peak, 24 h"][1], at), True)
    refused = log.told("refusal", (now // SECOND - 3600) * SECOND, now + 1)
    users = len({one.user for one in log.told("refusal", now - HOUR, now + 1) if one.user})
    said(f"{where} refused", shown["Refused, 1 h"][0], str(len(refused)))
    several = f"{users} user{'s' if users != 1 else ''}"
    said(f"{where} refused users", shown["Refused, 1 h"][1], several if refused else "nobody was turned away")
    said(f"{where} suspects", shown["Suspect bots"][0], str(len(log.suspects(now))))
    said(f"{where} CPU, RAM", (shown["CPU"][0], shown["RAM"][0]), ("12%", "34%"))
    happened(play, said, where, app)


def happened(play: Play, said: Said, where: str, app: AppTest) -> None:
    """Each line of "Latest" is true, and the newest thing that happened is on it."""
    log = play.diary
    lists = [one.proto.body for one in app.get("html") if "lim-times" in one.proto.body]
    rows = re.findall(r"<li><span>([^<]*)</span><span>([^<]*)</span></li>", lists[0])
    lapsed = Counter(stay.user for stay in log.stays if stay.reason == "lease_expired")
    for at, line in rows:
        if found := re.fullmatch(r"(.+): slot freed, lease ran out", line):
            said(f"{where} latest {line}", bool(lapsed[found[1]]), True)
        elif found := re.fullmatch(r"(?:(.+) )?refused: (.+?)(?: ×(\d+))?", line):
            user = found[1]  # None: of a feed that names no session
            reason = next(name for name, label in REASONS.items() if label == found[2].replace("&#x27;", "'"))
            times = [one for one in log.told("refusal", 0, play.now + 1, reason=reason) if one.user == user]
            said(f"{where} latest {line}", int(found[3] or 1), len(times))
            said(f"{where} latest {line} at", at, clock(log, times[-1].at, play.now))


def history(play: Play, said: Said, where: str, app: AppTest) -> None:
    log, now, shown = play.diary, play.now, figures(app)
    begin = now - DAY
    load, (peak, at) = log.load(begin, seen(play) + 1), last_peak(log, begin, now)
    said(f"{where} peak", (shown["Peak"][0], shown["Peak"][1] in at or (shown["Peak"][1], at)), (str(peak), True))
    known = -(-sum(log.spent(begin, now).values()) // 1000)  # begun seconds, as those that are a share of it
    for label, name in (("At 80% or more", "busy"), ("Full", "full")):
        share = f"{100 * load[name] / known:.1f}% of the time"
        said(f"{where} {label}", shown[label], (lasting(load[name]), share))
    said(f"{where} refused", shown["Refused"][0], str(sum(load["refusals"].values())))
    (table,) = [one.value for one in app.dataframe if "bots_mean" in one.value.columns]
    step = next(
        wide for wide in (5, 10, 15, 30, 60, 120, 300) if wide * 600 >= (now - max(begin, log.ups[0][0])) / 1000
    )
    wanted = log.buckets(max(begin, log.ups[0][0]), now, step)
    rows = {row["at"]: row for row in table.to_dict("records")}
    said(f"{where} rows", list(rows), [row["at"] for row in wanted])
    for row in wanted:
        got: dict[str, Any] = {str(name): value for name, value in rows.get(row["at"], {}).items()}
        found = {name: got.get(name) for name in ("limit", "tokens", "signals", "starts")}
        found["bots"] = {name: got.get(f"bots_{name}") for name in ("min", "mean", "max")}
        found["refusals"] = {name[8:]: n for name, n in got.items() if name.startswith("refused_") and n}
        said(f"{where} row {row['at']}", found, {name: row[name] for name in found})
    p95 = sorted(row["bots"]["mean"] for row in wanted)[int(0.95 * (len(wanted) - 1))]
    said(f"{where} p95", shown["95th percentile"][0], f"{p95:.0f}")
    near = log.told("refusal", now - 5 * MINUTE, now + 1)[::-1]
    asked = [option.split(" · ")[1:] for box in app.selectbox if "why?" in box.label for option in box.options]
    is_so = [[*([one.user] if one.user else []), REASONS[one.told["reason"]]] for one in near]
    said(f"{where} why", asked, is_so)
    (held,) = [one.value for one in app.markdown if "slots were held" in one.value]
    said(f"{where} then", held.split(" were")[0], f"**{len(log.held(now))}** of {log.limit(now)} slots")


def sessions(play: Play, said: Said, where: str, app: AppTest) -> None:
    log, now, shown = play.diary, play.now, figures(app)
    held, quiet = log.held(now), log.suspects(now)
    lapsed = [one for one in log.stays if one.reason == "lease_expired" and now - HOUR <= (one.end or 0)]
    said(f"{where} counted", shown["Slots counted"], (str(len(held)), f"of {log.limit(now)}"))
    said(f"{where} heard", shown["Bots heard"][0], str(len(held) - len(quiet)))
    said(f"{where} suspect", shown["Suspect bots"][0], str(len(quiet)))
    said(f"{where} lost", shown["Lost, 1 h"][0], str(len(lapsed)))
    listed(play, said, where, app, held)


def listed(play: Play, said: Said, where: str, app: AppTest, wanted: list[Any]) -> None:
    """The table of sessions that hold a slot."""
    log, now = play.diary, play.now
    table = app.dataframe[0].value if app.dataframe else None
    rows = [] if table is None else table.to_dict("records")
    found = [
        (row["session"], row["user"], row["bot"], round(row["started"].timestamp() * 1000), row["trades today"])
        for row in rows
    ]
    is_so = [(one.public_id, one.user, one.bot, one.start, log.trades_today(now, one.user)) for one in reversed(wanted)]
    said(f"{where} table", found, is_so)


def suspects(play: Play, said: Said, where: str, app: AppTest) -> None:
    listed(play, said, where, app, play.diary.suspects(play.now - 5 * SECOND))


def ended(play: Play, said: Said, where: str, app: AppTest) -> None:
    over = [one for one in play.diary.stays if one.end is not None]
    rows = app.dataframe[0].value.to_dict("records") if app.dataframe else []
    found = [(row["session"], row["user"], round(row["ended"].timestamp() * 1000)) for row in rows]
    said(f"{where} table", found, [(one.public_id, one.user, one.end) for one in reversed(over)])


def refusals(play: Play, said: Said, where: str, app: AppTest) -> None:
    refused = play.diary.told("refusal", 0, play.now + 1)
    rows = app.dataframe[0].value.to_dict("records")
    found = [(row["request id"], round(row["time"].timestamp() * 1000), row["user"], row["reason"]) for row in rows]
    is_so = [(o.told["id"], o.at, o.user or "", REASONS[o.told["reason"]]) for o in reversed(refused)]
    said(f"{where} table", found, is_so)


def usage(play: Play, said: Said, where: str, app: AppTest) -> None:
    log, now, shown = play.diary, play.now, figures(app)
    until = seen(play) + 1
    load = log.load(0, until)
    said(f"{where} peak", shown["Peak"][0], str(load["peak"]))
    said(f"{where} mean", shown["Mean"][0], f"{sum(one.bots for one in log.samples) / len(log.samples):.0f}")
    said(f"{where} starts", shown["Starts"][0], str(len(log.told("start", 0, until))))
    said(f"{where} refused", shown["Refused"][0], str(sum(load["refusals"].values())))
    said(f"{where} busy", shown["At 80% or more"][0], lasting(load["busy"]))
    over = [one for one in log.stays if one.end is not None]
    middle = sorted((one.end - one.start) // 1000 for one in over if one.end is not None)[len(over) // 2]
    lost = 100 * sum(one.reason == "lease_expired" for one in over) / len(over)
    (line,) = [one.value for one in app.caption if one.value.startswith("Median")]
    said(f"{where} median", line.split("; ")[0], f"Median {lasting(middle)}")
    said(f"{where} silent", re.findall(r"; (.+?) ended silent\.", line), [f"{lost:.1f}%"])
    (line,) = [one.value for one in app.caption if "trades in all" in one.value]
    said(f"{where} trades", re.findall(r"(\d+) trades in all", line), [f"{len(log.told('trade', 0, now + 1))}"])
    (table,) = [one.value for one in app.dataframe if "slot hours" in one.value.columns]
    days = max(1.0, (now - log.samples[0].at // (5 * SECOND) * 5 * SECOND) / DAY)
    rows = {row["user"]: tuple(row.values())[1:6] for row in table.to_dict("records")}
    users = {stay.user for stay in log.stays}
    every = sum(log.slot_ms(user, 0, now) for user in users)
    for user in users:
        held = log.slot_ms(user, 0, now)
        is_so = (
            len(log.told("start", 0, now + 1, user)), round(held / HOUR, 1), round(100 * held / every, 1),
            round(len(log.told("trade", 0, now + 1, user)) / days, 1), len(log.told("refusal", 0, now + 1, user)),
        )  # fmt: skip
        said(f"{where} user {user}", rows.get(user), is_so)


def alerts(play: Play, said: Said, where: str, app: AppTest) -> None:
    log, now, shown = play.diary, play.now, figures(app)
    alarms = log.alarms(now)
    is_open = [alarm for alarm in alarms if alarm.end is None]
    said(f"{where} open", shown["Open now"][0], str(len(is_open)))
    said(f"{where} channels", shown["Channels"], ("1", "all arrive"))
    cards = [one.value for one in app.markdown if one.value.startswith(":material/warning:") and "peak" in one.value]
    said(f"{where} cards", len(cards), len(is_open))
    for alarm, card in zip(is_open, cards, strict=False):
        parts = re.sub(r"\xa0", " ", card.splitlines()[-1]).split(" · ")
        since = f"since {clock(log, alarm.begin, now)} ({lasting((now - alarm.begin) // 1000)})"
        refused = [f"{n} × {REASONS[reason]}" for reason, n in log.refused(alarm.begin, now + 1).items()]
        said(
            f"{where} card",
            (parts[0], parts[1], sorted(parts[2:])),
            (since, f"peak {alarm.peak} / {alarm.peak_limit}", sorted(refused)),
        )


def limits(play: Play, said: Said, where: str, app: AppTest) -> None:
    log = play.diary
    fields = {one.label: one.value for one in app.number_input}
    for name, value in log.limits[-1][1].items():
        said(f"{where} {name}", [shown for label, shown in fields.items() if name in label][:1], [value])
    (line,) = [one.value for one in app.caption if one.value.startswith("Version ")]
    said(f"{where} version", line, f"Version {1 + len(log.versions())} is in force.")


def checklist(play: Play, said: Said, where: str, app: AppTest) -> None:
    log, now = play.diary, play.now
    lines = "\n".join(one.value for one in app.markdown)
    highest = max(bots for at, _, bots, _ in log.course(0, now))
    full = log.told("refusal", 0, seen(play) + 1, reason="server_full")[-1].at
    peak, at = last_peak(log, now - DAY, now)
    said(f"{where} highest", re.findall(r"most at once so far: (\d+)", lines), [str(highest)])
    found = re.findall(r"last refused for a full server: (.+)", lines)
    said(f"{where} full", found[0] in {clock(log, full, now), clock(log, full - 5 * SECOND, now)} or found, True)
    (shown,) = re.findall(r"peak of 24 h: (\d+) at (.+)", lines)
    said(f"{where} peak", (shown[0], shown[1] in at or (shown, at)), (str(peak), True))
    changed = sum(
        before["MAX_CONCURRENT_BOTS"] != after["MAX_CONCURRENT_BOTS"] for (_, before), (_, after) in _pairs(log)
    )
    said(f"{where} changes", re.findall(r"(\d+) changes? so far", lines), [str(changed)])
    minutes = {at // MINUTE for one in log.known(now - DAY, now) for at in range(one[0], one[1] + 1, SECOND)}
    said(f"{where} recorded", re.findall(r"(\d+)% of the last 24 h", lines), [f"{100 * len(minutes) / 1440:.0f}"])


def _pairs(log: Diary) -> list[Any]:
    return list(zip(log.limits, log.limits[1:], strict=False))
