"""What this box carries, from what its bots were measured to cost: facts in, figures out.

**By RAM**: (RAM − what the rest of the box holds − a reserve of 10 %) ÷ the mean of a bot. The rest is what is in use
less what the bots hold. A bot that runs and was not measured counts as one of mean size; where bots run on another host
there is more taken off than this box holds, and the rest is then 0 and not less.

**By CPU**: what the cores can give below 70 % (from there on the guide says to scale up), less what the rest takes, ÷
the mean of a bot; and all bots at once, as after a reboot, must have started within 5 minutes of those cores. The
smaller of the two, and of RAM and CPU, is what the box carries.

**The range** is of 80 %, for the mean of all N bots that would fill the box, of which n were measured: mean × or ÷
(1 + r), r = t · (spread ÷ mean) · √|1/n − 1/N|, with Student's t for n − 1. Never less than 5 %, by which a bot's own
memory moves, and half to double where one bot was measured. It holds for more bots of the same kinds: five of one kind
say nothing about another.

Not counted: disk, network, the page cache that bots share, and the CPU of starts where no start was seen.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median, quantiles, stdev
from typing import Literal

from limiter.rules.advice import CPU_ADVICE_PERCENT
from limiter.rules.capacity import Box
from limiter.rules.words import Words
from limiter.system_limits import VPS_SIZES, Vps
from limiter.units import MIB

RESERVE_PERCENT = 10  # of the RAM
LEAST_RANGE = 0.05  # of the mean
RANGE_OF_ONE = 1.0  # half to double
RESTART_SECONDS = 300.0  # after a reboot all bots have started within that time
T_90 = (math.inf, 3.078, 1.886)  # Student's t, 90 %, by degrees of freedom; a series does from 3 on
Z_90 = 1.2816

NEEDS = Words(
    "Aucun bot n'est mesuré : lance-les par `python -m limiter run`, une minute plus tard le chiffre est là.",
    "No bot is measured: run them by `python -m limiter run`; a minute later there is a figure.",
)


@dataclass(frozen=True, slots=True)
class Bot:
    """What one running bot was measured to cost; None: not measured.

    `memory_bytes`: what its processes hold and nobody shares; `cpu_percent` of one core; `start_cpu_seconds`: CPU time
    of its first minute.
    """

    memory_bytes: int | None = None
    cpu_percent: float | None = None
    start_cpu_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """`used_bytes` of its RAM cannot be given to others; `cpu_percent` (of all cores, a day's mean) None: not known."""

    ram_bytes: int
    used_bytes: int
    cores: float
    cpu_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """How the bots' figures lie."""

    median: float
    mean: float
    p90: float


@dataclass(frozen=True, slots=True)
class Carries:
    """So many of these bots, from `low` to `high`, and what runs out first."""

    bots: int
    low: int
    high: int
    by: Literal["ram", "cpu"]


@dataclass(frozen=True, slots=True)
class NextSize:
    """The next size of VPS, and how many of these bots it would carry; None where none was measured."""

    size: Vps
    bots: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the box carries. MB are of 1024² bytes; what is None was not measured."""

    ram_mb: float
    rest_mb: float | None
    cores: float
    running_bots: int
    measured_bots: int
    memory_mb: Spread | None
    cpu_percent: Spread | None
    start_cpu_seconds: float | None
    carries: Carries | None
    next: NextSize | None


def figures(machine: Machine, bots: Sequence[Bot]) -> Figures:
    """The figures of a machine on which these bots run, measured or not."""
    memory = [bot.memory_bytes / MIB for bot in bots if bot.memory_bytes is not None]
    cpu = [bot.cpu_percent for bot in bots if bot.cpu_percent is not None]
    starts = [bot.start_cpu_seconds for bot in bots if bot.start_cpu_seconds is not None]
    box = Box(machine.ram_bytes / MIB / 1024)
    larger = next((size for size in VPS_SIZES if size.ram_gb > box.counts_as_gb), None)
    rest, here, there = None, None, None
    if memory and fmean(memory) > 0:
        rest = max(0.0, machine.used_bytes / MIB - fmean(memory) * len(bots))
        by_cpu = _by_cpu(machine, len(bots), cpu, starts)
        here = _carries(_by_ram(machine.ram_bytes / MIB, rest, memory), by_cpu)
        if larger is not None:
            there = _carries(_by_ram(larger.ram_gb * 1024, rest, memory), by_cpu).bots
    return Figures(
        ram_mb=machine.ram_bytes / MIB,
        rest_mb=rest,
        cores=machine.cores,
        running_bots=len(bots),
        measured_bots=len(memory),
        memory_mb=spread(memory),
        cpu_percent=spread(cpu),
        start_cpu_seconds=fmean(starts) if starts else None,
        carries=here,
        next=NextSize(larger, there) if larger is not None else None,
    )


def spread(values: Sequence[float]) -> Spread | None:
    """Median, mean and 90th percentile (interpolated); None of no values."""
    if not values:
        return None
    middle, mean = median(values), min(max(fmean(values), min(values)), max(values))  # floats may end a hair outside
    tenths = quantiles(values, n=10, method="inclusive") if len(values) > 1 else [values[0]] * 9
    return Spread(middle, mean, max(middle, tenths[8]))


Bounds = tuple[float, float, float]  # middle, low, high


def _by_ram(ram_mb: float, rest_mb: float, memory_mb: Sequence[float]) -> Bounds:
    return _bounds(ram_mb * (100 - RESERVE_PERCENT) / 100 - rest_mb, memory_mb)


def _by_cpu(machine: Machine, running: int, cpu: Sequence[float], starts: Sequence[float]) -> Bounds:
    found: list[Bounds] = []
    if cpu and fmean(cpu) > 0:
        taken = machine.cores * (machine.cpu_percent or 0.0)
        rest = max(0.0, taken - fmean(cpu) * running)
        found.append(_bounds(machine.cores * CPU_ADVICE_PERCENT - rest, cpu))
    if starts and fmean(starts) > 0:
        found.append(_bounds(machine.cores * CPU_ADVICE_PERCENT / 100 * RESTART_SECONDS, starts))
    return _least(*found) if found else (math.inf,) * 3


def _bounds(room: float, costs: Sequence[float]) -> Bounds:
    """How many bots of such costs have room."""
    bots = max(0.0, room / fmean(costs))
    factor = 1 + relative_error(costs, bots)
    return bots, bots / factor, bots * factor


def _least(*bounds: Bounds) -> Bounds:
    middle, low, high = (min(column) for column in zip(*bounds, strict=True))
    return middle, low, high


def _carries(by_ram: Bounds, by_cpu: Bounds) -> Carries:
    middle, low, high = (math.floor(bound) for bound in _least(by_ram, by_cpu))
    return Carries(middle, low, high, "cpu" if by_cpu[0] < by_ram[0] else "ram")


def relative_error(costs: Sequence[float], bots: float) -> float:
    """How far the mean of so many bots may be from the mean of the measured, as a share of it (80 %)."""
    n = len(costs)
    if n == 1:
        return RANGE_OF_ONE
    among = abs(1 / n - 1 / max(bots, 1.0))
    return max(LEAST_RANGE, student(n - 1) * stdev(costs) / fmean(costs) * math.sqrt(among))


def student(freedom: int) -> float:
    """The 90 % quantile of Student's t: a table, then Fisher's series (Abramowitz and Stegun 26.7.5), within 1 %."""
    if freedom < len(T_90):
        return T_90[freedom]
    z, v = Z_90, freedom
    return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)


SAID = Words(
    "Ce serveur porte environ {bots} de ces bots ({low} à {high}), par {by} ; le tableau du guide dit {table}.",
    "This box carries about {bots} of these bots ({low}–{high}), by {by}; the guide's table says {table}.",
)
BY = {"ram": Words("la RAM", "RAM"), "cpu": Words("le CPU", "CPU")}
LARGER = Words(
    "Le VPS suivant, {ram_gb} Go à {price} $ par mois, en porterait environ {bots}.",
    "The next VPS, {ram_gb} GB at ${price} a month, would carry about {bots}.",
)


def said(found: Figures, language: str) -> str:
    """The figures as sentences, in `fr` or `en`."""
    if found.carries is None:
        return NEEDS.told(language)
    guide = Box(found.ram_mb / 1024).recommended_max_bots
    carries = {**asdict(found.carries), "by": BY[found.carries.by], "table": guide}
    text = SAID.filled(**carries).told(language)
    if found.next is not None:
        size = found.next.size
        text += " " + LARGER.filled(ram_gb=size.ram_gb, bots=found.next.bots, price=size.price_usd_month).told(language)
    return text
