"""The operator's guide's 13 items, each with the evidence that this box already has of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from limiter.answers.capacity import AdviceAnswer, StatsAnswer
from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.words import actor_text, lasting, number, percent, t, tn
from limiter.console.view import DAY
from limiter.drills import report
from limiter.rules.limits import Limits
from limiter.store import read
from limiter.store.schema import RAW_STEP


@dataclass(frozen=True, slots=True)
class Item:
    """One item: whether it is seen to be done (None: only a person can say), the evidence, and the page to do it on."""

    text: str
    done: bool | None
    evidence: str
    page: str


def tried(name: str) -> bool:
    """Whether that drill passed in the last 30 days."""
    result = report.kept(data.settings()).get(name)
    return result is not None and result.passed and result.at > times.now() - 30 * DAY


def last(name: str) -> str:
    """What came of that drill, as more evidence; empty where it was never done."""
    result = report.kept(data.settings()).get(name)
    if result is None:
        return ""
    when = times.when(result.at)
    return " · " + (t("drill passed ({time})", time=when) if result.passed else t("drill failed ({time})", time=when))


def before(limits: Limits, stats: StatsAnswer | None) -> Sequence[Item]:
    """Before the launch."""
    maximum = limits.whole("MAX_CONCURRENT_BOTS")
    comfort = stats.system.recommended_max_bots if stats else None
    full_at = data.read(read.history.last_full)
    highest, highest_at = data.read(read.history.highest)
    channels = len(data.settings().alert_urls)
    fits = comfort is not None and 100 * maximum <= 134 * comfort
    return (
        Item(
            t("Set MAX_CONCURRENT_BOTS to what the VPS carries"),
            fits,
            t(
                "{n} set; {comfort} are comfortable for this box",
                n=number(maximum),
                comfort=number(comfort) if comfort is not None else "?",
            ),
            "limits.py",
        ),
        Item(
            t("Try it with 10 bots"),
            highest >= 10 or tried("ten"),
            (
                t("most at once so far: {n}, on {day}", n=number(highest), day=times.day(highest_at))
                if highest_at
                else t("no bot seen yet")
            )
            + last("ten"),
            "sessions.py",
        ),
        Item(
            t("See that /admin shows the right figures"),
            stats is not None,
            t("you are looking at it") if stats else t("the limiter does not answer"),
            "overview.py",
        ),
        Item(
            t("Try “server full” with MAX + 1 bots"),
            full_at is not None or tried("full"),
            (
                t("last refused for a full server: {time}", time=times.when(full_at))
                if full_at
                else t("never refused for a full server")
            )
            + last("full"),
            "sessions.py",
        ),
        Item(
            t("Set up alerts to the outside"),
            channels > 0,
            tn("{n} channel in LIMITER_ALERT_URLS", "{n} channels in LIMITER_ALERT_URLS", channels)
            + " · "
            + t("have a monitor call /api/admin/health as well"),
            "alerts.py",
        ),
    )


def during(stats: StatsAnswer | None) -> Sequence[Item]:
    """During the launch."""
    now = times.now()
    day = data.read(read.history.load, now - DAY, now)
    covered = min(100.0, 100 * day.samples * RAW_STEP * 1000 / DAY)
    versions = data.read(read.limits.versions, limit=100)
    changes = [
        one
        for one in versions
        if one["kind"] != "start" and any(moved[0] == "MAX_CONCURRENT_BOTS" for moved in one["changed"])
    ]
    system = stats.system if stats else None
    calm = system is not None and (system.cpu_percent or 0) <= 70 and (system.ram_percent or 0) <= 80
    return (
        Item(
            t("Look at /admin every hour"),
            None,
            t("watched by itself: {percent} of the last 24 h are recorded", percent=percent(covered, 0)),
            "overview.py",
        ),
        Item(
            t("Write down the peaks"),
            day.peak is not None,
            t("peak of 24 h: {n} at {time}", n=number(day.peak or 0), time=times.when(day.peak_at))
            if day.peak_at
            else t("no snapshot yet"),
            "history.py",
        ),
        Item(
            t("Check CPU and RAM of the VPS"),
            calm,
            t(
                "CPU {cpu}, RAM {ram}; scale up above 70 and 80",
                cpu=percent(system.cpu_percent, 0),
                ram=percent(system.ram_percent, 0),
            )
            if system
            else t("the limiter does not answer"),
            "history.py",
        ),
        Item(
            t("Adjust MAX where needed"),
            None,
            tn("{n} change so far", "{n} changes so far", len(changes))
            + (f" · {times.when(changes[0]['at'])}, {actor_text(changes[0]['actor'])}" if changes else ""),
            "limits.py",
        ),
    )


def after(advice: AdviceAnswer | None) -> Sequence[Item]:
    """After the launch."""
    now = times.now()
    rows = data.read(read.history.hours, now - 7 * DAY, now)
    days, known = len({times.day(row.at) for row in rows}), data.load(now - 7 * DAY, now).known_seconds
    notes = data.read(read.audit.notes, now - 30 * DAY, now)
    reasons = advice.advice if advice else []
    return (
        Item(
            t("Watch daily for a week"),
            None,
            tn("{n} of the last 7 days is recorded", "{n} of the last 7 days are recorded", min(7, days)),
            "history.py",
        ),
        Item(t("Study when people come"), None, t("{time} of history", time=lasting(known)), "usage.py"),
        Item(
            t("Scale up if often above 80%"),
            not reasons if advice else None,
            " · ".join(one.message for one in reasons) or t("nothing speaks for a larger box now"),
            "settings.py",
        ),
        Item(
            t("Document incidents"),
            None,
            tn("{n} note in 30 days", "{n} notes in 30 days", len(notes))
            + (f" · {times.when(notes[0].at)} · {notes[0].text}" if notes else ""),
            "history.py",
        ),
    )
