"""What the sampler saw of the box, what the state says at that instant, and what happened since the last one."""

from collections import Counter
from dataclasses import dataclass

from limiter.rules.course import Point, slices
from limiter.rules.door import Load
from limiter.rules.holding import costs, suspects
from limiter.rules.records import Snapshot
from limiter.rules.refusals import REFUSALS
from limiter.rules.room import capacity
from limiter.rules.state import State

FIGURES = ("tokens", "signals", "trades", "starts", "ended")
COUNTED = frozenset((*FIGURES, *(f"refused:{reason.name}" for reason in REFUSALS)))


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """The sampler's request: figures of the last seconds, and means of the last minute; None where not read."""

    cpu_percent: float | None
    ram_percent: float | None
    p99_ms: float | None
    cpu_mean: float | None = None
    ram_mean: float | None = None

    def decide(self, state: State, now: int) -> Snapshot:
        """The snapshot, to be written with whatever else the batch changed."""
        counts = {key: n for key, n in state.unbooked.items() if key[0] in COUNTED}
        grown: Counter[str] = Counter()
        for (name, _), n in counts.items():
            grown[name] += n
        held = capacity(state, now)
        refusals = {reason.name: grown[f"refused:{reason.name}"] for reason in REFUSALS}
        snapshot = Snapshot(
            at=now,
            bots=held.current,
            suspects=len(suspects(state, now)),
            limit=held.maximum,
            cpu_percent=self.cpu_percent,
            ram_percent=self.ram_percent,
            p99_ms=self.p99_ms,
            costs=costs(state, now),
            refusals={reason: n for reason, n in refusals.items() if n},
            slices=slices([*state.course, Point(now, held.current, held.maximum)], now, counts),
            **{name: grown[name] for name in FIGURES},
        )
        state.snapshot(snapshot)
        state.read_load(Load(now, self.cpu_mean, self.ram_mean))
        return snapshot


@dataclass(frozen=True, slots=True)
class Trim:
    """Delete a slice of what is older than it is kept."""

    def decide(self, state: State, now: int) -> None:
        """The store knows what; it is the instant that decides."""
        state.changes.trim = now
