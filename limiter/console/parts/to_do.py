"""What asks for a hand: alerts, pauses, held steps, silent bots, a box that is too small."""

from dataclasses import dataclass

from limiter.answers.capacity import StatsAnswer
from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.words import language, lasting, number, t, tn
from limiter.console.parts.advising import advising
from limiter.console.parts.happenings import without_sign
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules import guards
from limiter.rules.capacity import Capacity
from limiter.rules.headlines import Reader, headline
from limiter.store import read


@dataclass(frozen=True, slots=True)
class Task:
    """What asks for a hand, with the page where it is done and the label of the way there; `pressing`, or in time."""

    text: str
    page: str
    label: str
    pressing: bool = True


def to_do(sign_in: SignIn, stats: StatsAnswer | None) -> list[Task]:
    """All that asks for a hand, the most pressing first."""
    found = []
    if data.read(read.limits.paused):
        found.append(
            Task(t(":material/pause: Starts are **paused**: every start is refused."), "limits.py", t("Open Limits"))
        )
    taken = Capacity(stats.capacity.current_bots, stats.capacity.max_bots) if stats is not None else None
    for row in data.read(read.incidents.unattended):
        said = without_sign(headline(row, Reader(language(), times.zone(), times.now(), taken)))
        text = f":material/warning: **{said}** · {t('since {time}', time=times.when(row.opened_at))}"
        strange = row.kind == "strangers"  # where they are listed is where they are dealt with
        found.append(Task(text, *(("settings.py", t("Look at them")) if strange else ("alerts.py", t("Acknowledge")))))
    if stats is not None:
        found += of_figures(stats)
        found += [Task(*one) for one in advising(sign_in, stats)]
    step = data.read(read.limits.coming_step)
    if step is not None:
        held = step.status == "held"
        known = {"n": number(step.max_bots), "time": times.when(step.at)}
        text = t("Launch plan: **{n}** bots, {time}", **known)
        if held:
            why = guards.said(step.held_by).told(language())
            text = t(":material/warning: Launch plan held: **{n}** bots since {time} ({why})", why=why, **known)
        found.append(Task(text, "checklist.py", t("See the plan"), held))
    return sorted(found, key=lambda task: not task.pressing)


def of_figures(stats: StatsAnswer) -> list[Task]:
    """What the live figures ask for."""
    found = []
    if suspects := stats.sessions.suspect:
        silent = data.read(read.sessions.silent_since)
        age = lasting((times.now() - silent) / 1000) if silent else ""
        text = tn(
            ":material/warning: **{n} bot** has not beaten for {age}.",
            ":material/warning: **{n} bots** have not beaten, the longest for {age}.",
            suspects,
            age=age,
        )
        found.append(Task(text, "sessions.py", t("Look at them")))
    return found
