"""Exercises: does "full" really refuse? Decided by the limiter's own rules under the limits in force, in memory.

Promises: the same `decide` as a real start, on a state of its own; nothing reaches the limiter, no session is left.
Does not promise anything about network or disk: for those, drive the real one with `python -m limiter simulate`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from limiter.rules.limits import Limits
from limiter.rules.records import Ended
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Admission, Heartbeat, Reap, Start, Stop
from limiter.rules.state import State

FEW = 10
MOST = 20_000  # starts of one exercise, so that a page never waits


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried, what came of it, and whether that is right."""

    tried: str
    came: str
    right: bool


class Exercise:
    """A state of its own and a clock that stands until it is moved."""

    def __init__(self, limits: Limits) -> None:
        maximum = min(limits.whole("MAX_CONCURRENT_BOTS"), MOST)
        settings = dict(limits.settings)
        settings["MAX_CONCURRENT_BOTS"] = replace(settings["MAX_CONCURRENT_BOTS"], value=maximum)
        settings["MAX_BOTS_PER_USER"] = replace(
            settings["MAX_BOTS_PER_USER"], value=max(1, limits.whole("MAX_BOTS_PER_USER"))
        )
        self.state = State(Limits(limits.version, settings, limits.configured))
        self.maximum = maximum
        self.now = 1_000_000
        self.admitted: list[Admission] = []
        self.refused: list[Refusal] = []

    def start(self, n: int, user: str = "drill") -> None:
        """So many users ask for a slot each."""
        for number in range(n):
            name = f"{user}-{number}"
            answer = Start("drill", name, "bot", "bot", "secret").decide(self.state, self.now)
            if isinstance(answer, Admission):
                self.admitted.append(answer)
            else:
                self.refused.append(answer)

    def stop_all(self) -> int:
        """Every session gives its slot back; how many are left."""
        for one in self.admitted:
            Stop(one.session.number, one.session.secret).decide(self.state, self.now)
        return len(self.state.sessions)


def few_bots(limits: Limits, language: str) -> Sequence[Step]:
    """Ten bots start, beat and stop."""
    exercise = Exercise(limits)
    wanted = min(FEW, exercise.maximum)
    exercise.start(FEW)
    beats = [
        Heartbeat(one.session.number, one.session.secret).decide(exercise.state, exercise.now + 20_000)
        for one in exercise.admitted
    ]
    alive = sum(not isinstance(beat, Refusal | Ended) for beat in beats)
    return (
        Step(f"{FEW} starts", f"{len(exercise.admitted)} × 201", len(exercise.admitted) == wanted),
        Step(f"{wanted} heartbeats", f"{alive} × 200", alive == wanted),
        _left(exercise),
    )


def one_too_many(limits: Limits, language: str) -> Sequence[Step]:
    """MAX + 1 starts: the last is refused, in the exact sentence, and nobody more gets in."""
    exercise = Exercise(limits)
    exercise.start(exercise.maximum + 1)
    refusal = exercise.refused[0] if exercise.refused else None
    counted = exercise.state.capacity(exercise.now)
    said = f"503 {refusal.sentence(language)} Retry-After {refusal.retry_after_seconds}" if refusal else "0 × 503"
    return (
        Step(
            f"{exercise.maximum + 1} starts",
            f"{len(exercise.admitted)} × 201, {len(exercise.refused)} × 503",
            len(exercise.refused) == 1,
        ),
        Step("MAX + 1", said, refusal is not None and refusal.reason == "server_full"),
        Step(
            "capacity",
            f"{counted.current}/{counted.maximum} {counted.status}",
            counted.current <= counted.maximum and counted.status == "FULL",
        ),
        _left(exercise),
    )


def silent_bot(limits: Limits, language: str) -> Sequence[Step]:
    """A bot crashes without a word: its slot is free the moment its lease ends."""
    exercise = Exercise(limits)
    exercise.start(min(1, exercise.maximum))
    lease_ms = exercise.admitted[0].session.lease_ms if exercise.admitted else 0
    before = exercise.state.capacity(exercise.now + lease_ms - 1).current
    after = exercise.state.capacity(exercise.now + lease_ms).current
    Reap().decide(exercise.state, exercise.now + lease_ms)
    seconds = lease_ms // 1000
    return (
        Step(f"{seconds} s − 1 ms", f"{before} slot", before == len(exercise.admitted)),
        Step(f"{seconds} s", f"{after} slots", after == 0),
        _left(exercise),
    )


def crashed_and_back(limits: Limits, language: str) -> Sequence[Step]:
    """A bot of a full server crashes and starts again at once: it takes over its own slot."""
    exercise = Exercise(limits)
    exercise.start(exercise.maximum)
    exercise.start(min(1, exercise.maximum))
    counted = exercise.state.capacity(exercise.now)
    return (
        Step("start again, full", f"{len(exercise.refused)} × 503", not exercise.refused),
        Step("capacity", f"{counted.current}/{counted.maximum}", counted.current == exercise.maximum),
        _left(exercise),
    )


def _left(exercise: Exercise) -> Step:
    left = exercise.stop_all()
    return Step("cleanup", f"{left} sessions left", left == 0)


DRILLS: tuple[tuple[str, Callable[[Limits, str], Sequence[Step]]], ...] = (
    ("ten", few_bots),
    ("full", one_too_many),
    ("silent", silent_bot),
    ("back", crashed_and_back),
)
