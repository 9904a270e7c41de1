"""The demo's VPS: CPU, RAM and the latency of decisions follow the number of bots, with moods of their own."""

import math
from dataclasses import dataclass, field
from random import Random

from limiter.units import MIB


@dataclass(slots=True)
class Box:
    """4 GB, comfortable with 150 bots. CPU and RAM in percent, p99 of decisions in ms; `leak` comes on top of RAM."""

    cpu: float = 6.0
    ram: float = 25.0
    p99: float = 3.0
    leak: float = 0.0
    _moods: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def follow(self, bots: int, feed_down: bool, chance: Random) -> None:
        """What a sampler would read next. Without a feed bots have little to compute."""
        self._moods = [0.97 * mood + chance.gauss(0, size) for mood, size in zip(self._moods, (0.8, 0.25), strict=True)]
        cpu = 6 + 0.26 * bots + self._moods[0] - (9 if feed_down else 0)
        self.cpu = round(min(98.0, max(1.5, cpu)), 1)
        self.ram = round(min(98.0, 25 + 0.22 * bots + self._moods[1] + self.leak), 1)
        self.p99 = round(2.2 + 0.012 * bots + chance.expovariate(1.2), 2)


def costs(number: int, seconds: float) -> tuple[int, float]:
    """Bytes of memory and seconds of CPU of the bot with this session number, so many seconds after its start.

    On average what `Box` adds for a bot: 0.22 % of 4 GB, and 0.26 % of two cores. Some grow with time, one in 40 fast.
    """
    chance = Random(number)
    leak = chance.expovariate(1 / 0.02) * (20 if number % 40 == 7 else 1)
    megabytes = chance.lognormvariate(math.log(8.2), 0.4) * (1 + leak * math.log1p(seconds / 3600))
    return round(megabytes * MIB), round(seconds * chance.lognormvariate(math.log(0.0043), 0.6), 3)
