"""Which VPS the measured use asks for: a larger one, a smaller one, or another limit on this one. Facts in, words out.

**Larger** where something speaks for it: CPU or RAM of the last 5 minutes, days that were often at 80 % of the limit,
bots far over what the box carries, or a limiter that is slow although not full. The size is the smallest one, but the
box's own, on which all of this holds:

- the bots: the most now and on the third-busiest of the last 7 days; where days were often at 80 %, so many that they
  would have been at 80 %. It carries what the guide's table says, and where 5 bots or more were measured no more than
  have room beside the rest and a reserve of 10 %;
- the RAM in use, of now and of the week's heaviest hour, is 80 % of it at most;
- the CPU, of now and of the week's heaviest hour, would be at 70 % at most, cores growing like RAM.

Where the days were often at 80 %, nothing else speaks, and this box carries that many bots, the **limit** is too low,
and not the box: unless what holds in the week to come, at the same hours, is enough for these bots (a raise since, the
launch plan, a window). Where a window rules at those hours, it is the window's limit that is too low. **Smaller** is
said where nothing speaks for more and a week was measured: the most bots of it are 80 % of what that size carries at
most, RAM and CPU of the heaviest hour 60 % and 50 %. Where nothing was measured, nothing is said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from limiter.rules.box_use import BusyHour, Short, Use
from limiter.rules.capacity import Box
from limiter.rules.guards import DECISION_P99_MS, FEED_TOKENS_PER_MINUTE
from limiter.rules.words import Words
from limiter.system_limits import VPS_SIZES, Vps
from limiter.units import DAY_MS

CPU_ADVICE_PERCENT = 70
RAM_ADVICE_PERCENT = 80
BUSY_DAYS = 3  # of the last 7
BUSY_SHARE_PERCENT = 5  # of a day's minutes at 80 % of the limit or more
SLOW_MINUTES = 5  # of the last 60
SMALLER_RAM_PERCENT, SMALLER_CPU_PERCENT, SMALLER_BOTS_PERCENT = 60, 50, 80
WEEK_DAYS = 6.5  # known time that counts as a week
WEEK_MS = 7 * DAY_MS
MEASURED_BOTS = 5
RESERVE = 0.9


@dataclass(frozen=True, slots=True)
class Advice:
    """One reason to take a bigger box; `strong` where waiting is a risk."""

    name: str
    strong: bool
    value: float
    threshold: float
    message: Words


@dataclass(frozen=True, slots=True)
class Decision:
    """`size` None: no size of the guide is enough; `bots`: what it carries, or the limit to set where `kind` is so."""

    kind: Literal["larger", "smaller", "limit"]
    size: Vps | None
    bots: int | None
    what: Words
    why: Words

    @property
    def sentence(self) -> Words:
        """Both: what to take, and because of what."""
        return BECAUSE.filled(what=self.what, why=self.why)


SAID = {
    "cpu": Words(
        "CPU {value:.0f} % sur 5 minutes, au-dessus de {threshold} %",
        "CPU {value:.0f}% over 5 minutes, above {threshold}%",
    ),
    "ram": Words(
        "RAM {value:.0f} % sur 5 minutes, au-dessus de {threshold} %",
        "RAM {value:.0f}% over 5 minutes, above {threshold}%",
    ),
    "occupancy": Words(
        "80 % de la limite ou plus pendant 5 % du temps ou plus, {value} des 7 derniers jours",
        "80% of the limit or more in 5% of the time or more on {value} of the last 7 days",
    ),
    "box": Words(
        "{value} {value:bot|bots} maintenant, 120 % ou plus de ce que ce serveur porte confortablement ({carries})",
        "{value} {value:bot|bots} now, 120% or more of the {carries} that this box carries comfortably",
    ),
    "decision_lag": Words(
        "lent sans être plein : décisions p99 jusqu'à {value:.0f} ms, {minutes} des 60 dernières minutes, à {bots}"
        " {bots:bot|bots} sur {limit}",
        "slow although not full: decisions p99 up to {value:.0f} ms in {minutes} of the last 60 minutes, at {bots} of"
        " {limit} {limit:bot|bots}",
    ),
    "feed_lag": Words(
        "lent sans être plein : moins de {threshold} tokens par minute, {value} des 60 dernières minutes, à {bots}"
        " {bots:bot|bots} sur {limit}",
        "slow although not full: fewer than {threshold} tokens a minute in {value} of the last 60 minutes, at {bots} of"
        " {limit} {limit:bot|bots}",
    ),
}


def advise(use: Use) -> list[Advice]:
    """What speaks for a bigger box."""
    lag, carries = use.lag, use.box.recommended_max_bots
    found = []

    def add(name: str, value: float, threshold: float, *, strong: bool = False, **more: object) -> None:
        said = SAID[name].filled(value=value, threshold=threshold, limit=lag.limit, bots=lag.bots, **more)
        found.append(Advice(name, strong, value, threshold, said))

    if use.cpu is not None and use.cpu > CPU_ADVICE_PERCENT:
        add("cpu", use.cpu, CPU_ADVICE_PERCENT)
    if use.ram is not None and use.ram > RAM_ADVICE_PERCENT:
        add("ram", use.ram, RAM_ADVICE_PERCENT)
    if use.busy_days >= BUSY_DAYS:
        add("occupancy", use.busy_days, BUSY_DAYS)
    if use.bots and 100 * use.bots >= 120 * carries:
        add("box", use.bots, carries * 1.2, strong=True, carries=carries)
    if lag.decision_minutes >= SLOW_MINUTES:
        add("decision_lag", lag.p99_ms, DECISION_P99_MS, minutes=lag.decision_minutes)
    if lag.feed_minutes >= SLOW_MINUTES:
        add("feed_lag", lag.feed_minutes, FEED_TOKENS_PER_MINUTE)
    return found


def decide(use: Use, reasons: Sequence[Advice]) -> Decision | None:
    """The size that the use asks for, where it is another one; None where it is this one, or nothing was measured."""
    if not reasons:
        return _smaller(use)
    wanted = _wanted_bots(use)
    if [one.name for one in reasons] == ["occupancy"] and wanted <= _carries(use, use.box.detected_ram_gb):
        return _limit(use, _why(use, reasons))
    size = next((one for one in VPS_SIZES if one.ram_gb > use.box.counts_as_gb and _holds(use, one, wanted)), None)
    if size is None:
        largest = max(VPS_SIZES[-1].ram_gb, round(use.box.detected_ram_gb))
        return Decision("larger", None, None, LARGEST.filled(ram=largest), _why(use, reasons))
    return _decision("larger", use, size, _why(use, reasons))


def short_days(hours: Sequence[BusyHour], limit_at: Callable[[int], tuple[int, str]]) -> list[Short]:
    """Of the days that were often at 80 % of their limit those that would be so again under the limits of the week to
    come, the most bots first. `limit_at` tells the limit of an instant, and its cause."""
    found = []
    for day in {hour.day for hour in hours}:
        mine = [hour for hour in hours if hour.day == day]
        again = [
            (hour, cause)
            for hour, (limit, cause) in ((hour, limit_at(hour.peak_at + WEEK_MS)) for hour in mine)
            if 100 * hour.bots >= 80 * limit
        ]
        if again and 100 * sum(hour.busy_ms for hour, _ in again) >= BUSY_SHARE_PERCENT * mine[0].known_ms:
            highest, cause = max(again, key=lambda one: one[0].bots)
            found.append(Short(highest.bots, cause == "window"))
    return sorted(found, key=lambda one: -one.bots)


def _limit(use: Use, why: Words) -> Decision | None:
    if len(use.short) < BUSY_DAYS:
        return None
    regular = use.short[BUSY_DAYS - 1]
    wanted = ceil(max(regular.bots, 1) * 100 / 80)
    words = LIMIT_OF_WINDOW if regular.in_window else LIMIT
    return Decision("limit", None, wanted, words.filled(bots=wanted), why)


def _wanted_bots(use: Use) -> int:
    daily = sorted((day.bots for day in use.days), reverse=True)
    regular = daily[BUSY_DAYS - 1] if len(daily) >= BUSY_DAYS else 0
    if use.busy_days >= BUSY_DAYS:
        regular = ceil(max(regular, 1) * 100 / 80)
    return max(use.bots, regular)


def _holds(use: Use, size: Vps, bots: int) -> bool:
    ram = max((day.ram for day in use.days if day.ram is not None), default=0.0)
    cpu = max((day.cpu for day in use.days if day.cpu is not None), default=0.0)
    ram_gb = max(use.ram or 0.0, ram) / 100 * use.box.detected_ram_gb
    needed_gb = max(use.cpu or 0.0, cpu) / CPU_ADVICE_PERCENT * _cores_gb(use.box)
    return (
        bots <= _carries(use, size.ram_gb)
        and 100 * ram_gb <= RAM_ADVICE_PERCENT * size.ram_gb
        and needed_gb <= size.ram_gb
    )


def _cores_gb(box: Box) -> float:
    """The RAM that the cores go with: more than the guide's row, where the box has more."""
    return max(box.counts_as_gb, box.detected_ram_gb)


def _carries(use: Use, ram_gb: float) -> int:
    """What the guide's table says of that size; of larger bots than it takes them to be, as many as have room."""
    cost, guide = use.cost, Box(ram_gb).recommended_max_bots
    if cost is None or cost.measured < MEASURED_BOTS or cost.bot_mb <= 0:
        return guide
    return min(guide, max(0, floor((RESERVE * ram_gb * 1024 - cost.rest_mb) / cost.bot_mb)))


def _smaller(use: Use) -> Decision | None:
    days = use.days
    loads = [(day.cpu, day.ram) for day in days if day.cpu is not None and day.ram is not None]
    if sum(day.known for day in days) < WEEK_DAYS or len(loads) < len(days) or use.cpu is None or use.ram is None:
        return None
    bots = max(use.bots, *(day.bots for day in days))
    cpu, ram = max(use.cpu, *(cpu for cpu, _ in loads)), max(use.ram, *(ram for _, ram in loads))
    ram_gb = ram / 100 * use.box.detected_ram_gb
    for size in VPS_SIZES:
        if size.ram_gb >= RESERVE * use.box.detected_ram_gb:  # a size shows up to a tenth less than is sold
            return None
        carries = _carries(use, size.ram_gb)
        fits = 100 * bots <= SMALLER_BOTS_PERCENT * carries and use.planned <= carries
        fits &= 100 * ram_gb <= SMALLER_RAM_PERCENT * size.ram_gb
        if fits and cpu * _cores_gb(use.box) <= SMALLER_CPU_PERCENT * size.ram_gb:
            return _decision("smaller", use, size, LITTLE.filled(bots=bots, ram=round(ram_gb, 1), cpu=cpu))
    return None


def _decision(kind: Literal["larger", "smaller"], use: Use, size: Vps, why: Words) -> Decision:
    bots = _carries(use, size.ram_gb)
    facts = {"ram": size.ram_gb, "bots": bots, "price": size.price_usd_month}
    return Decision(kind, size, bots, SIZE.filled(**facts), why)


def _why(use: Use, reasons: Sequence[Advice]) -> Words:
    said = [one.message for one in reasons]
    cost = use.cost
    if cost is not None and cost.measured >= MEASURED_BOTS:
        said.append(COST.filled(mb=cost.bot_mb, n=cost.measured))
    if any(one.name.endswith("_lag") for one in reasons) and _is_calm(use):
        said.append(CALM.filled(cpu=use.cpu, ram=use.ram))
    return Words(*(" · ".join(words.told(language) for words in said) for language in ("fr", "en")))


def _is_calm(use: Use) -> bool:
    """Whether CPU and RAM have room, so that a larger box alone may not help."""
    return use.cpu is not None and use.ram is not None and use.cpu <= 50 and use.ram <= 50


SIZE = Words(
    "{ram} Go, {bots} {bots:bot|bots}, {price} $ par mois", "{ram} GB, {bots} {bots:bot|bots}, ${price} a month"
)
LARGEST = Words("Plus que {ram} Go, ou un second serveur", "More than {ram} GB, or a second server")
LIMIT = Words(
    "Ce serveur suffit, monte MAX_CONCURRENT_BOTS à {bots}", "This box is enough, raise MAX_CONCURRENT_BOTS to {bots}"
)
LIMIT_OF_WINDOW = Words(
    "Ce serveur suffit, monte à {bots} le MAX_CONCURRENT_BOTS de la plage horaire",
    "This box is enough, raise the MAX_CONCURRENT_BOTS of the peak window to {bots}",
)
BECAUSE = Words("{what}, car {why}.", "{what}: because {why}.")
LITTLE = Words(
    "au plus {bots} {bots:bot|bots}, {ram} Go de RAM et {cpu:.0f} % de CPU en 7 jours",
    "at most {bots} {bots:bot|bots}, {ram} GB of RAM and {cpu:.0f}% of CPU in 7 days",
)
COST = Words(
    "un bot tient {mb:.0f} Mo ici, sur {n} mesurés",
    "a bot holds {mb:.0f} MB here, {n} of them measured",
)
CALM = Words(
    "CPU {cpu:.0f} % et RAM {ram:.0f} % ont de la marge : regarde d'abord le disque et le flux",
    "CPU {cpu:.0f}% and RAM {ram:.0f}% have room: look at the disk and the feed first",
)
