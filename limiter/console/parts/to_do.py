"""What asks for a hand: alerts, a shut door, held steps, silent bots, bots without a slot, backups, a box too small."""

from limiter.answers.capacity import StatsAnswer
from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.words import language, lasting, t, tn
from limiter.console.parts.advising import advising
from limiter.console.parts.happenings import without_sign
from limiter.console.parts.task import Task, Urgency
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules import guards
from limiter.rules.alerts import ALERTS
from limiter.rules.capacity import Capacity
from limiter.rules.headlines import Reader, headline
from limiter.rules.plan import waits
from limiter.rules.records import Step
from limiter.rules.schedule import Schedule
from limiter.rules.vitals import BACKUP_SECONDS
from limiter.store import read
from limiter.store.location import backup_folder, made_at, sqlite_path

OWN_LINE = {Urgency.STRANGERS: "strangers", Urgency.HELD: "plan", Urgency.OLD_BACKUP: "backup"}
"""What is told by a line of its own, with the way to where it is dealt with: its alert is not listed beside it."""
FIRST_BACKUP_SECONDS = 600.0  # by then a limiter that has just started has made one, or failed


def to_do(sign_in: SignIn, stats: StatsAnswer | None) -> list[Task]:
    """All that asks for a hand, the worst first."""
    found = []
    if data.read(read.limits.paused):
        text = t(":material/pause: Starts are **paused**: every start is refused.")
        found.append(Task(Urgency.CLOSED, text, "limits.py", t("Open Limits")))
    if stats is not None:
        found += silent(stats)
        found += advising(sign_in, stats)
    found += backup(stats)
    if (coming := data.read(read.limits.coming_step)) is not None:
        found.append(step(coming))
    told = {OWN_LINE[task.urgency] for task in found if task.urgency in OWN_LINE}
    return sorted(found + alerts(stats, told), key=lambda task: task.urgency)


def alerts(stats: StatsAnswer | None, told: set[str]) -> list[Task]:
    """The open incidents that nobody has acknowledged, but those of kinds that are `told` already."""
    taken = Capacity(stats.capacity.current_bots, stats.capacity.max_bots) if stats is not None else None
    found = []
    for row in data.read(read.incidents.unattended):
        if row.kind not in told:
            said = without_sign(headline(row, Reader(language(), times.zone(), times.now(), taken)))
            text = f":material/warning: **{said}** · {t('since {time}', time=times.when(row.opened_at))}"
            worst = ALERTS[row.crossings[-1].level].severity == "failure"
            urgency = Urgency.FAILURE if worst else Urgency.ALERT
            found.append(Task(urgency, text, "alerts.py", t("Acknowledge")))
    return found


def silent(stats: StatsAnswer) -> list[Task]:
    """Bots that hold a slot and are not heard."""
    if not (suspects := stats.sessions.suspect):
        return []
    if (since := data.read(read.sessions.silent_since, times.now())) is None:
        return []  # it was heard or has ended meanwhile
    age = lasting((times.now() - since) / 1000)
    text = tn(
        ":material/warning: **{n} bot** has not beaten for {age}.",
        ":material/warning: **{n} bots** have not beaten, the longest for {age}.",
        suspects,
        age=age,
    )
    return [Task(Urgency.SILENT, text, "sessions.py", t("Look at them"), {"view": "suspect"})]


def backup(stats: StatsAnswer | None) -> list[Task]:
    """That the newest backup is old, or that there is none: of a file; a server is backed up by its own tools."""
    settings = data.settings()
    path, folder = sqlite_path(settings.database_url), backup_folder(settings.database_url, settings.backup_dir)
    if path is None or not path.exists():
        return []
    place = "settings.py", t("How it is done"), {"tab": "box"}
    if folder is None:
        text = t("**No backup is made**: LIMITER_BACKUP_DIR is none. A disk that fails takes everything with it.")
        return [Task(Urgency.NO_BACKUP, f":material/backup: {text}", *place)]
    now = times.now()
    last = made_at(path, folder, now)
    text = ""
    if last is not None and now - last >= BACKUP_SECONDS * 1000:
        age, time = lasting((now - last) / 1000), times.when(last)
        text = t("**The last backup is {age} old**, of {time}: one a day is due.", age=age, time=time)
    elif last is None and stats is not None and stats.uptime_seconds > FIRST_BACKUP_SECONDS:
        age = lasting(stats.uptime_seconds)
        text = t("**There is no backup**, although the limiter has run for {age}: see its log.", age=age)
    return [Task(Urgency.OLD_BACKUP, f":material/backup: {text}", *place)] if text else []


def step(coming: Step) -> Task:
    """The next step of the launch plan, or the one that a guard or the schedule holds: why, and until when."""
    bots, time = coming.max_bots, times.when(coming.at)
    place = "checklist.py", t("See the plan"), {"tab": "plan"}
    schedule = data.read(read.limits.read_schedule)
    if coming.status != "held" and coming.at <= times.now() and waits(schedule, coming):
        text = tn(
            "Launch plan: **{n}** bot, due at {time}: {why}",
            "Launch plan: **{n}** bots, due at {time}: {why}",
            bots,
            why=waits_for(schedule),
            time=time,
        )
        return Task(Urgency.COMING, text, *place)
    if coming.status != "held":
        text = tn("Launch plan: **{n}** bot, {time}", "Launch plan: **{n}** bots, {time}", bots, time=time)
        return Task(Urgency.COMING, text, *place)
    why = guards.said(coming.held_by).told(language())
    text = tn(
        ":material/pause_circle: Launch plan held: **{n}** bot since {time} ({why}), until no guard holds any more.",
        ":material/pause_circle: Launch plan held: **{n}** bots since {time} ({why}), until no guard holds any more.",
        bots,
        why=why,
        time=time,
    )
    return Task(Urgency.HELD, text, *place)


def waits_for(schedule: Schedule) -> str:
    """What a step that is due waits for."""
    if schedule.open is not None:
        return t("it waits for the end of the window, {time}", time=times.when(schedule.open.of.ends))
    assert schedule.probation is not None  # else it would not wait
    return t("it waits for the end of the probation, {time}", time=times.when(schedule.probation.ends_at))
