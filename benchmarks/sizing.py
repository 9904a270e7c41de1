"""How far the slots that the formulas give are from those that a simulation gives: `python -m benchmarks.sizing`.

The simulation shares no code with limiter/rules/loss_system.py: bots come by the hour, alone or in bunches, of any or
of known users, ask again after Retry-After, give up after their patience, and stay for as long as the case says. What
the formulas are told is what the limiter would have recorded of the same bots with slots for all. Writes
docs/sizing.md.
"""

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

from limiter.rules.loss_system import Crowd, Load, bunching, slots_for
from limiter.rules.sizing import Slots

REPORT = Path(__file__).parents[1] / "docs/sizing.md"
SHARE = 0.01
WARM_HOURS = 48.0
COME, ASK, END = range(3)


@dataclass(frozen=True, slots=True)
class Case:
    """Bots wanted at once on average and how far that swings over the day; how they come, stay, ask and give up."""

    name: str
    load: float
    swing: float
    users: int | None
    bunch: int
    stays: str  # "exponential", "constant", "lognormal"
    stay_hours: float = 4.0
    patience_hours: float = 0.5
    retry_hours: float = 30 / 3600

    def rate(self, hour: float) -> float:
        """The shape of arrivals over the day, 1 on average."""
        return 1 + self.swing * math.sin(2 * math.pi * hour / 24)

    def stay(self, chance: random.Random) -> float:
        """How long one bot runs, in hours."""
        if self.stays == "constant":
            return self.stay_hours
        if self.stays == "lognormal":
            return self.stay_hours * chance.lognormvariate(-0.5, 1.0)
        return chance.expovariate(1 / self.stay_hours)


CASES = [
    Case(
        f"{load} bots, swing {swing:.0%}, {users or 'any'} users, bunches of {bunch}, {stays} stays",
        load, swing, users, bunch, stays,
    )
    for (load, users), swing, (bunch, stays) in product(
        ((40, None), (140, None), (140, 200), (40, 60)),
        (0.0, 0.4),
        ((1, "exponential"), (1, "lognormal"), (1, "constant"), (2, "exponential")),
    )
    if not (users and bunch > 1)
]  # fmt: skip


class Outcome(NamedTuple):
    """Demands, those refused at first, those lost; bot-hours (where there are slots for all) and demands by hour of the
    day; starts by minute."""

    demands: int
    first: int
    lost: int
    bot_hours: dict[int, float]
    came: Counter[int]
    starts: Counter[int]


class Fleet:
    """The bots of one run: who runs, who asks again, and what was counted behind the warm-up."""

    def __init__(self, case: Case, slots: float, seed: int) -> None:
        self.case, self.slots, self.chance = case, slots, random.Random(seed)
        self.events: list[tuple[float, int, int, float]] = []  # when, what, user, patience's end
        self.running = self.demands = self.first = self.lost = 0
        self.idle = set(range(case.users or 0))
        self.bot_hours: dict[int, float] = dict.fromkeys(range(24), 0.0)
        self.came: Counter[int] = Counter()
        self.starts: Counter[int] = Counter()
        each = case.load / (case.users - case.load) * case.users if case.users else case.load / case.bunch
        self.highest = each / case.stay_hours * (1 + case.swing)  # arrivals an hour, where all are let through

    def run(self, end: float) -> Outcome:
        """Event by event until `end`, in hours."""
        self.event(self.chance.expovariate(self.highest), COME)
        now = 0.0
        while now < end:
            before, (now, what, user, until) = now, heapq.heappop(self.events)
            if self.slots == math.inf:  # of other runs nobody asks for the load
                self.count_hours(max(before, WARM_HOURS), min(now, end))
            if what == END:
                self.running -= 1
                self.idle.add(user)
            elif what == ASK:
                self.ask(now, user, until)
            else:
                self.come(now)
        return Outcome(self.demands, self.first, self.lost, self.bot_hours, self.came, self.starts)

    def event(self, at: float, what: int, user: int = 0, until: float = 0.0) -> None:
        """To happen then."""
        heapq.heappush(self.events, (at, what, user, until))

    def come(self, now: float) -> None:
        """Somebody may come: fewer in quiet hours, and of known users only who has no bot and does not ask already."""
        case = self.case
        self.event(now + self.chance.expovariate(self.highest), COME)
        if self.chance.random() >= case.rate(now) / (1 + case.swing):
            return
        user = self.chance.randrange(case.users) if case.users else 0
        if case.users and user not in self.idle:
            return
        self.idle.discard(user)
        for _ in range(case.bunch):
            if now >= WARM_HOURS:
                self.demands += 1
                self.came[int(now % 24)] += 1
                self.starts[int(now * 60)] += 1
            if self.running >= self.slots:
                self.first += now >= WARM_HOURS
            self.ask(now, user, now + self.chance.expovariate(1 / case.patience_hours))

    def ask(self, now: float, user: int, until: float) -> None:
        """A slot, another try after Retry-After, or nothing where patience ends before it."""
        if self.running < self.slots:
            self.running += 1
            self.event(now + self.case.stay(self.chance), END, user)
        elif now + self.case.retry_hours <= until:
            self.event(now + self.case.retry_hours, ASK, user, until)
        else:
            self.lost += now >= WARM_HOURS
            self.idle.add(user)

    def count_hours(self, start: float, end: float) -> None:
        """Bot-hours by hour of the day."""
        while start < end:
            edge = min(end, math.floor(start) + 1.0)
            self.bot_hours[int(start % 24)] += self.running * (edge - start)
            start = edge


def simulate(case: Case, slots: float, days: int, seed: int = 1) -> Outcome:
    """Run so many days behind a warm-up."""
    return Fleet(case, slots, seed).run(WARM_HOURS + 24.0 * days)


def needed(case: Case, days: int, share: Callable[[Outcome], float], near: int) -> int:
    """The least slots with which the simulation refuses at most SHARE."""
    low, high = int(near * 0.8), int(near * 1.25) + 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if share(simulate(case, middle, days)) <= SHARE else (middle, high)
    return high


class Compared(NamedTuple):
    """Slots of the formulas and of the simulation."""

    formula: Slots
    simulated: Slots


def foretold(case: Case, days: int = 120) -> Slots:
    """What the formulas give, told what the limiter would have recorded of the same bots with slots for all."""
    seen = simulate(case, math.inf, days)
    loads = [Load(seen.bot_hours[hour] / days, seen.came[hour]) for hour in range(24)]
    crowd = Crowd(case.users, bunching(seen.starts, days * 1440), case.patience_hours / case.stay_hours)
    return Slots(slots_for(SHARE, loads, crowd, lost=False), slots_for(SHARE, loads, crowd, lost=True))


def check(case: Case, days: int = 120) -> Compared:
    """Both figures of one case."""
    formula = foretold(case, days)
    first = needed(case, days, lambda found: found.first / found.demands, formula.first)
    lost = needed(case, days, lambda found: found.lost / found.demands, formula.lost)
    return Compared(formula, Slots(first, lost))


def main() -> None:
    """Every case, into docs/sizing.md."""
    rows, worst = [], 0.0
    for case in CASES:
        found = check(case)
        cells = []
        for formula, simulated in zip(
            (found.formula.first, found.formula.lost), (found.simulated.first, found.simulated.lost), strict=True
        ):
            off = formula / simulated - 1
            worst = max(worst, abs(off))
            cells += [str(formula), str(simulated), f"{100 * off:+.1f} %"]
        rows.append(f"| {case.name} | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    text = REPORT_HEAD.format(cases=len(rows), worst=100 * worst) + "\n".join(rows) + "\n"
    REPORT.write_text(text, encoding="utf-8")


REPORT_HEAD = """# How many slots are enough, against a simulation

`limiter/rules/loss_system.py` answers how many slots keep the share of refused demands at 1 %: refused at first, or
lost for good. `benchmarks/sizing.py` simulates the same bots one by one and shares no code with it. {cases} cases, 4 h
stays, Retry-After 30 s, patience 30 min on average, 120 days each; the largest difference is {worst:.1f} %.
`python -m benchmarks.sizing` writes this page again.

| case | first: formula | simulated | off | lost: formula | simulated | off |
|---|---|---|---|---|---|---|
"""


if __name__ == "__main__":
    main()
