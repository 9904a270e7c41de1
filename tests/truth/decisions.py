"""What is said to decide by (preview, sizing, forecast, lease) and of the schedule, by every way, beside the log."""

import json
import re
from collections import Counter
from statistics import median_high
from typing import Any

from click.testing import CliRunner

from limiter.cli import main
from tests.truth.answers import Said
from tests.truth.diary import HOUR, MINUTE, Event, Stay, status, text
from tests.truth.play import Play
from tests.truth.scheduled import MAX, Agenda, Operators

EACH = "MAX_BOTS_PER_USER"
DAY = 24 * HOUR
SILENCE = 20 * MINUTE  # who has not asked again by then has given up
LEASES = (10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)
Asked = tuple[Event, Stay | None]


# -- by the log


def asked_for(log: Agenda) -> list[Asked]:
    """Each start that was asked for and met the limits, in order, with the session that it was given."""
    stays, found = iter(log.stays), list[Asked]()
    for event in log.events:
        if event.what == "start":
            found.append((event, next(stays)))
        elif event.what == "refusal" and event.told["reason"] in ("server_full", "user_limit"):
            found.append((event, None))
    return found


def ruled(log: Agenda, at: int) -> bool:
    """Whether a window gave the limit of that instant."""
    return next(by_window for since, by_window in reversed(log.ruled) if since <= at)


def decided_again(log: Agenda, at: int, changes: dict[str, int]) -> dict[str, int]:
    """Every start of a week once more, in a world of its own: who would hold a slot then, under these limits."""
    asked = [(event, stay) for event, stay in asked_for(log) if event.at >= at - 7 * DAY]
    lengths = [stay.end - stay.start for _, stay in asked if stay is not None and stay.end is not None]
    usual, world = median_high(lengths) if lengths else HOUR, dict[tuple[str, Any], int | None]()
    now, then = Counter[str](), Counter[str]()
    for event, stay in asked:
        user = str(event.user)
        key = (user, stay.bot) if stay else (user, event.told["bot"] or event.at)
        world = {held: until for held, until in world.items() if until is None or until > event.at}
        most = changes[MAX] if MAX in changes and not ruled(log, event.at) else log.limit(event.at)
        room = len(world) < most and sum(who == user for who, _ in world) < changes.get(EACH, log.limit(event.at, EACH))
        if key in world or room:
            world[key] = stay.end if stay else event.at + usual
        else:
            then[user] += 1
        now[user] += stay is None
    return {
        "days": 7, "demands": len(asked), "refused_now": now.total(), "refused_then": then.total(),
        "users_affected": sum(now[user] != then[user] for user in now | then),
    }  # fmt: skip


def demands(log: Agenda, now: int) -> list[tuple[int, bool, bool]]:
    """Runs of tries: when each began, whether it was refused at first, and for good; those under way are left out."""
    tries: dict[tuple[Any, Any], list[Asked]] = {}
    for event, stay in asked_for(log):
        if stay is not None or event.told["reason"] == "server_full":
            tries.setdefault((event.user, stay.bot if stay else event.told["bot"]), []).append((event, stay))
    found = []
    for (user, bot), all_of_it in tries.items():
        run: list[int] = []
        for event, stay in all_of_it:
            if run and event.at - run[-1] > SILENCE:
                found.append((run[0], True, True))
                run = []
            run.append(event.at)
            if stay is not None:
                before = (user, bot, stay.start, "replaced")
                if before not in {(one.user, one.bot, one.end, one.reason) for one in log.stays}:
                    found.append((run[0], len(run) > 1, False))
                run = []
        found += [(run[0], True, True)] if run and now - run[-1] > SILENCE else []
    return sorted(found)


def hours(log: Agenda, now: int) -> dict[int, set[str]]:
    """The whole hours before this one of which something is known, each with the statuses that were reached in it."""
    end = now - now % HOUR
    found: dict[int, set[str]] = {}
    for hour in range(log.ups[0][0] // HOUR * HOUR, end, HOUR):
        if course := log.course(hour, hour + HOUR):
            found[hour] = {status(bots, most) for _, _, bots, most in course}
    return found


def known_days(log: Agenda, now: int) -> int:
    """Whole days from the first known hour to the last."""
    known = sorted(hours(log, now))
    return (known[-1] - known[0] + HOUR) // DAY if known else 0


# -- what is said


def commands(play: Play, said: Said, when: str, asked: dict[tuple[str, ...], str]) -> dict[tuple[str, ...], str]:
    """That each command says with --json what its path does; what it says to a person."""
    told = {}
    for command, path in asked.items():
        said(f"{when} {' '.join(command)}", json.loads(run(play, *command, "--json")), json.loads(play.get(path)))
        told[command] = run(play, *command)
    return told


def run(play: Play, *command: str) -> str:
    """What a command prints."""
    environment = {"LIMITER_URL": play.machine.url, "LIMITER_KEY": play.machine.key, "LIMITER_LANG": "en"}
    ran = CliRunner().invoke(main, command, env=environment)
    assert ran.exit_code == 0, (command, ran.output)
    return ran.stdout


def read_schedule(play: Operators, said: Said, when: str, then: int | None = None) -> None:
    """Plan, windows, drain, versions and audit. `then`: what holds after the window that is open."""
    log, now = play.diary, play.now
    steps = [(one["at"], one[MAX], one["status"], one["applied_at"]) for one in play.admin("GET", "plan")["steps"]]
    is_so = [(text(one["at"]), one["most"], one["status"], text(one["applied_at"])) for one in log.steps]
    said(f"{when} plan", steps, is_so)
    windows = play.admin("GET", "windows")
    said(f"{when} windows", windows["windows"], [one.asked for one in log.windows])
    is_open = windows["open"] and (windows["open"]["then"], windows["open"]["status"])
    status_of = "by_hand" if now < log.by_hand_until else "applied"
    said(f"{when} open", is_open, (then, status_of) if then is not None else None)
    limits = play.admin("GET", "limits")
    (row,) = [one for one in limits["limits"] if one["name"] == MAX]
    said(f"{when} source", row["source"] == "window", ruled(log, now))
    coming = [(one["at"], one[MAX]) for one in limits["coming"]]
    base = log.limit(now) if then is None else then
    said(f"{when} coming", coming, [(text(at), most) for at, most in log.coming(now, base)])
    drain = log.drained(now)
    left = len(log.held(now))
    wanted = drain and {
        "since": text(drain.since), "stop_at": text(drain.stop_at), "left": left, "reason": drain.reason
    }  # fmt: skip
    said(f"{when} drain", play.admin("GET", "drain")["drain"], wanted)
    notice = drain and {"kind": "drain", "at": text(drain.stop_at), "reason": drain.reason}
    for one in play.admin("GET", "sessions?status=active")["items"]:
        said(f"{when} notice {one['public_id']}", one["notice"], notice)
    said(f"{when} told", [known for known, _ in zip(play.of_itself, log.own_messages, strict=False)], play.of_itself)
    for message, begins in zip(play.of_itself, log.own_messages, strict=False):
        said(f"{when} told {begins}", message[: len(begins)], begins)
    read_versions(play, said, when)
    told = commands(play, said, when, {
        ("plan", "show"): "plan", ("windows", "show"): "windows", ("drain", "--status"): "drain",
        ("limits", "history"): "limits/history", ("audit",): "audit",
    })  # fmt: skip
    for at, most in ((one["at"], one["most"]) for one in log.steps):
        said(f"{when} plan show", bool(re.search(rf"{text(at)} +{most} ", told["plan", "show"])), True)


def read_versions(play: Operators, said: Said, when: str) -> None:
    """Who changed what and why, from what to what; and the limit just before each change, and from it on."""
    log = play.diary
    rows = [row for row in play.admin("GET", "audit?limit=200")["items"][::-1] if row["action"] != "key"]
    kinds = {"plan", "window", "window_over", "unconfirmed", "tripped", "held"}
    for row, (at, action, target), (who, why) in zip(rows, log.done, log.by, strict=True):
        said(f"{when} audit {text(at)}", (row["actor"], row["action"], row["target"]), (who, action, target))
        said(f"{when} why {text(at)}", row["reason"] == why or (not why and action in kinds), True)
    versions = play.admin("GET", "limits/history?limit=100")["versions"][::-1]
    for number, (row, change) in enumerate(zip(versions[1:], log.changes(), strict=False), 2):
        moved = [{"name": MAX, "from": change.before, "to": change.after}]
        said(
            f"{when} version {number}",
            (row["version"], row["at"], row["by"], row["kind"], row["reason"], row["changed"]),
            (number, text(change.at), change.who, change.kind, change.why, moved),
        )
    said(f"{when} versions", len(versions), len(log.limits))
    for at, _ in log.limits[1:]:
        for instant in (at - 1, at):
            state = play.admin("GET", f"state?at={text(instant)}")
            said(f"{when} limit {text(instant)}", state["limits"][MAX], log.limit(instant))
            made = sum(since <= instant for since, _ in log.limits)
            said(f"{when} version {text(instant)}", state["limits_version"], made)
    for one in log.told("refusal", 0, play.now + 1):
        why = play.admin("GET", f"explain/{one.told['id']}")
        said(f"{when} {one.told['reason']} again", why["decided_again"], True)
        said(f"{when} {one.told['reason']} sentence", why["sentence"], one.told["sentence"])


def read_preview(play: Operators, said: Said, when: str) -> None:
    """What other limits would have done, and how full it would be."""
    log, now = play.diary, play.now
    most, held = log.limit(now), len(log.held(now))
    tried: tuple[dict[str, int], ...] = ({}, {MAX: most + 1}, {MAX: most - 2}, {MAX: 1000, EACH: 1000}, {EACH: 0})
    for changes in (*tried, {MAX: 4}, {MAX: 30, EACH: 1}):
        answer = play.admin("POST", "limits/preview", {"changes": changes})
        said(f"{when} preview {changes}", answer["replay"], decided_again(log, now, changes))
        would = changes.get(MAX, most)
        open_to = held < would and changes.get(EACH, 1) > 0 and log.drained(now) is None
        capacity = {
            "current_bots": held, "max_bots": would, "percent_used": 1000 * held // would / 10,
            "available_slots": would - held, "status": status(held, would), "can_accept_new": open_to,
        }  # fmt: skip
        said(f"{when} preview {changes} capacity", answer["capacity"], capacity)
        said(f"{when} preview {changes} over", answer["over_by"], max(0, held - would))
        command = ("limits", "preview", *(f"{name}={value}" for name, value in changes.items()))
        told = json.loads(run(play, *command, "--json"))
        said(f"{when} preview {changes} told", (told["replay"], told["capacity"]), (answer["replay"], capacity))
        again = "{demands} starts of 7 days, decided again: {refused_now} were refused, {refused_then} would be"
        said(f"{when} preview {changes} said", again.format(**answer["replay"]) in run(play, *command), True)


def read_decisions(play: Operators, said: Said, when: str) -> None:
    """Sizing, forecast and lease where there is too little to say more: what there is, is counted right."""
    log, now = play.diary, play.now
    known, came = known_days(log, now), demands(log, now)
    sizing, forecast = play.admin("GET", "sizing"), play.admin("GET", "forecast")
    said(f"{when} demands", sizing["demands"], len(came))
    said(f"{when} days", sizing["days"], days(log, came))
    too_few = f"Too little data: it takes 14 days of history and 50 demands; there are {known} and {len(came)}."
    too_early = f"Too early to say: a forecast needs 14 days of history, there are {known}."
    said(f"{when} sizing", (sizing["slots"], sizing["needs"]), (None, too_few))
    said(f"{when} forecast", (forecast["points"], forecast["needs"]), (None, too_early))
    reached = sum("FULL" in statuses for statuses in hours(log, now).values())
    said(f"{when} hours at the limit", forecast["censored_hours"], reached)
    lease = play.admin("GET", "lease-evidence")
    dead = sum(stay.reason == "lease_expired" for stay in log.stays)
    said(f"{when} beats", lease["beats"], len(log.gaps))
    rows = [(one["lease_seconds"], one["living_ended"], one["slot_hours_held_by_the_dead"]) for one in lease["rows"]]
    is_so = [(s, sum(gap > 1000 * s for gap in log.gaps), round(dead * s / 3600, 2)) for s in LEASES]
    said(f"{when} leases", rows, is_so)
    told = commands(play, said, when, {
        ("sizing",): "sizing", ("forecast",): "forecast", ("lease",): "lease-evidence", ("box",): "box",
        ("advice",): "advice",
    })  # fmt: skip
    said(f"{when} sizing told", told["sizing",].strip(), too_few)
    said(f"{when} forecast told", told["forecast",].strip(), too_early)


def days(log: Agenda, came: list[tuple[int, bool, bool]]) -> list[dict[str, Any]]:
    """Demands by the day on which they were first made."""
    found: dict[str, dict[str, Any]] = {}
    for at, first, lost in came:
        row = found.setdefault(log.day(at)[0], {"day": log.day(at)[0], "demands": 0, "first": 0, "lost": 0})
        row["demands"] += 1
        row["first"] += first
        row["lost"] += lost
    return [found[day] for day in sorted(found)]
