"""Who uses the demo's limiter: when people come, how long they stay, how much they trade. Made up, from a seed.

Shapes, not measurements: growth that flattens, a community that joins on one day, a daily wave with its top at 18:30 in
the operator's zone, quieter week-ends, Monday evening above all, stays that are log-normal, a few bots that never sleep
and one that trades all day.
"""

import math
from dataclasses import dataclass
from datetime import datetime, tzinfo
from random import Random

from limiter.rules.records import Session

PEOPLE = 230
FOUNDERS = 34  # who are there on the first day
COMMUNITY, JOINED = 50, 0.72  # so many come at once, after this share of the time: the load is at another level
DESK, HEAVY, LENT = "desk.altair", "grid.hermes", "joris.b"  # the users that the story is about

FIRST_NAMES = (
    "adele", "amine", "anouk", "basile", "camille", "chloe", "david", "elena", "farid", "gaelle", "hugo", "ines",
    "jade", "karim", "lea", "lina", "louis", "malik", "manon", "marco", "nadia", "nils", "olga", "paul", "rania",
    "remi", "sacha", "samir", "sofia", "theo", "yanis", "zoe",
)  # fmt: skip
SYMBOLS = {"BTC/USDT": 91_400.0, "ETH/USDT": 3_080.0, "SOL/USDT": 141.0, "XRP/USDT": 2.21, "BNB/USDT": 905.0}


@dataclass(slots=True, eq=False)
class Person:
    """One user. `patience`: the chance to ask once more after a refusal; `named`: the bot has a name of its own."""

    user_id: str
    joined_at: int
    keenness: float
    stay_minutes: float
    trades_per_hour: float
    patience: float
    named: bool
    wanted: int = 1
    away_until: int = 0


@dataclass(slots=True, eq=False)
class Bot:
    """One stay: whose, until when, and how it will end."""

    person: Person
    session: Session
    leaves: int
    fate: str
    invested: bool = False


def growth(share: float) -> float:
    """How many people have joined after this share of the whole time."""
    shape: float = min(1.0, share / 0.96) ** 0.62
    return FOUNDERS + (PEOPLE - COMMUNITY - FOUNDERS) * shape + (COMMUNITY if share >= JOINED else 0)


def joins(number: int) -> float:
    """After which share of the time the person of that number is there."""
    if number >= PEOPLE - COMMUNITY:
        return JOINED
    late = max(0, number - FOUNDERS) / (PEOPLE - COMMUNITY - FOUNDERS)
    share: float = 0.96 * late ** (1 / 0.62)
    return share


def people(chance: Random, since: int, until: int) -> list[Person]:
    """Everyone, in the order in which they join, those of the community last."""
    names = [f"{first}.{letter}" for first in FIRST_NAMES for letter in "abdfglmr"]
    chance.shuffle(names)
    names = [DESK, HEAVY, LENT, *(name for name in names if name != LENT)]
    everyone = []
    for number in range(PEOPLE):
        always_on = number == 1 or chance.random() < 0.08
        everyone.append(
            Person(
                user_id=names[number],
                joined_at=since + int((until - since) * joins(number)),
                keenness=50.0 if number < 2 else chance.lognormvariate(0, 0.7),
                stay_minutes=900.0 if always_on else chance.choice((45.0, 100.0, 100.0, 180.0)),
                trades_per_hour=31.0 if names[number] == HEAVY else min(8.0, chance.lognormvariate(0.1, 0.8)),
                patience=0.95 if always_on else chance.uniform(0.4, 0.9),
                named=number < 3 or chance.random() < 0.8,
            )
        )
    return everyone


def busy(local: datetime) -> float:
    """Which share of the people want a bot at this local time; the weekly top is Monday from 18 to 19."""
    hour = local.hour + local.minute / 60
    share = 0.63 + 0.20 * math.cos((hour - 18.5) / 24 * math.tau)
    if local.weekday() >= 5:
        share *= 0.8
    if local.weekday() == 0:
        share += 0.22 * math.exp(-(((hour - 18.5) / 1.8) ** 2))
    return share


def wanted(now: int, since: int, until: int, zone: tzinfo) -> float:
    """How many bots people would run at `now` if there were no limit."""
    local = datetime.fromtimestamp(now / 1000, zone)
    mood = 1 + 0.07 * math.sin(local.toordinal() * 2.4)  # no two days are alike
    return growth((now - since) / (until - since)) * busy(local) * mood


def poisson(chance: Random, mean: float) -> int:
    """A number of independent happenings (Knuth's way: fine for the small means here)."""
    floor, number, product = math.exp(-mean), 0, chance.random()
    while product > floor:
        number += 1
        product *= chance.random()
    return number
