"""A cap split in shares, simulated: regions borrow blocks of slots from one bank by lease, and admit by themselves.

Shows that what runs never passes the cap, whatever is lost, late, cut off or killed, and what that costs: slots that
lie in one region's blocks while another refuses. The rule: a block ends for its region before it ends for the bank,
because the region counts from when it asked, the bank from when it was asked, and the region's lease is shorter by
what two clocks may drift apart. Not simulated: the regions' own limiters, which are exact (tests), and how the bank
keeps what it knows.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from math import pi, sin
from random import Random

HOUR = 3600
ASK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class World:
    """What is simulated; times in seconds, `drift` is how wrong a clock's rate may be, faults are means per region."""

    cap: int = 1000
    regions: int = 4
    block: int = 10
    reserve: int = 3  # slots a region likes to have free: what comes while the bank answers
    lease: int = 600
    seconds: int = 12 * HOUR
    counted_from: int = HOUR  # the means leave out the hour in which it fills
    offered: float = 1.2  # of the cap: more than fits, so that every idle slot is a loss
    stay: float = 1800.0
    drift: float = 1e-3
    margin: float = 2e-3  # by which a region's lease is shorter; at least two drifts
    loss: float = 0.02
    delay: int = 3
    faults: bool = True
    cut_every: float = 2 * HOUR
    cut_seconds: float = 400.0
    crash_every: float = 3 * HOUR
    crash_seconds: float = 200.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """`peak`: most bots at once, by the true clock; `used`: their mean; `cut`: stays ended early for a lost block."""

    peak: int
    used: float
    starts: int
    cut: int
    messages: int


@dataclass(slots=True)
class Bank:
    """Who holds which block, and until when by its own clock."""

    blocks: int
    lease: int
    held: dict[tuple[int, int], float] = field(default_factory=dict)

    def ask(self, what: str, name: tuple[int, int], now: float) -> bool:
        """Take, renew or give back a block; an answer that was lost may be asked for again."""
        for over in [one for one, end in self.held.items() if end <= now]:
            del self.held[over]
        if what == "return":
            self.held.pop(name, None)
        elif name in self.held or (what == "take" and len(self.held) < self.blocks):
            self.held[name] = now + self.lease
        return name in self.held


@dataclass(slots=True)
class Region:
    """A limiter whose cap is the blocks it holds. `ends` is when each block ends, by this region's clock."""

    number: int
    world: World
    rate: float
    ends: dict[int, float] = field(default_factory=dict)
    stays: list[float] = field(default_factory=list)
    asked: dict[int, float] = field(default_factory=dict)
    down: bool = False
    cut: int = 0
    starts: int = 0
    wanted: set[int] = field(default_factory=set)
    _names: Iterator[int] = field(default_factory=count)

    @property
    def free(self) -> int:
        """Slots of the blocks that nobody uses."""
        return len(self.ends) * self.world.block - len(self.stays)

    def pass_time(self, now: float, down: bool) -> None:
        """Blocks end by the clock, up or down, and with them the leases that rest on them; stays end where it is up.

        Of a crash, what is durable stays (blocks, sessions), and what was under way is lost.
        """
        if down and not self.down:
            self.asked.clear()
            self.wanted.clear()
        self.down = down
        for name in [name for name, end in self.ends.items() if end <= now]:
            del self.ends[name]
        if not down:
            while self.stays and self.stays[0] <= now:
                heapq.heappop(self.stays)
        while self.free < 0:
            heapq.heappop(self.stays)
            self.cut += 1

    def admit(self, now: float, stay: float) -> None:
        """A bot asks."""
        if self.free > 0 and not self.down:
            heapq.heappush(self.stays, now + stay)
            self.starts += 1

    def requests(self, now: float) -> Iterator[tuple[str, int]]:
        """What to ask the bank: to renew at a third of the lease, for a block where room is short; to take one back."""
        if self.down:
            return
        for name, end in self.ends.items():
            if end - now < self.world.lease * 2 / 3 and self._may_ask(name, now):
                yield "renew", name
        while self.free + len(self.wanted) * self.world.block < self.world.reserve:
            self.wanted.add(next(self._names))
        for name in self.wanted:
            if self._may_ask(name, now):
                yield "take", name
        if self.free >= self.world.reserve + self.world.block + self.world.block // 2:
            name = min(self.ends, key=self.ends.__getitem__)
            del self.ends[name]
            yield "return", name

    def _may_ask(self, name: int, now: float) -> bool:
        """Once in ten seconds: an answer takes a while, or is lost."""
        if now - self.asked.get(name, float("-inf")) < ASK_SECONDS:
            return False
        self.asked[name] = now
        return True

    def hear(self, name: int, sent: float, holds: bool) -> None:
        """The bank's answer to what was asked at `sent`."""
        if not holds or (name not in self.wanted and name not in self.ends):
            return  # refused, or given back or run out meanwhile
        self.wanted.discard(name)
        end = sent + self.world.lease * (1 - self.world.margin)
        self.ends[name] = max(end, self.ends.get(name, end))


def spans(chance: Random, world: World, every: float, lasts: float) -> list[tuple[float, float]]:
    """From when to when something is broken."""
    found, at = [], chance.expovariate(1 / every)
    while at < world.seconds:
        end = at + chance.expovariate(1 / lasts)
        found.append((at, end))
        at = end + chance.expovariate(1 / every)
    return found


def broken(times: list[tuple[float, float]], now: float) -> bool:
    """Whether one of them holds now."""
    return any(begin <= now < end for begin, end in times)


def arrivals(world: World) -> list[list[tuple[int, float]]]:
    """Who comes in each second: region and length of stay. The demand moves from region to region over the day."""
    chance = Random(world.seed)
    rate = world.offered * world.cap / world.stay
    seconds: list[list[tuple[int, float]]] = [[] for _ in range(world.seconds)]
    at = chance.expovariate(rate)
    while at < world.seconds:
        turn = 2 * pi * at / (6 * HOUR)
        weights = [1 + 0.8 * sin(turn + 2 * pi * n / world.regions) for n in range(world.regions)]
        (where,) = chance.choices(range(world.regions), weights)
        seconds[int(at)].append((where, chance.expovariate(1 / world.stay)))
        at += chance.expovariate(rate)
    return seconds


def exact(world: World) -> float:
    """The mean of bots that one counter for all would have run on the same arrivals."""
    running: list[float] = []
    total = 0
    for now, coming in enumerate(arrivals(world)):
        while running and running[0] <= now:
            heapq.heappop(running)
        for _, stay in coming:
            if len(running) < world.cap:
                heapq.heappush(running, now + stay)
        total += len(running) if now >= world.counted_from else 0
    return total / (world.seconds - world.counted_from)


@dataclass(frozen=True, slots=True)
class Faults:
    """When each region is cut off from the bank, and when it is down."""

    cuts: list[list[tuple[float, float]]]
    crashes: list[list[tuple[float, float]]]

    @classmethod
    def of(cls, world: World, chance: Random) -> "Faults":
        """Drawn by chance; none where the world has none."""
        if not world.faults:
            return cls([[]] * world.regions, [[]] * world.regions)
        each = range(world.regions)
        return cls(
            [spans(chance, world, world.cut_every, world.cut_seconds) for _ in each],
            [spans(chance, world, world.crash_every, world.crash_seconds) for _ in each],
        )


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """A question to the bank (`what` is take, renew or return), or its answer. `sent` is by the region's clock."""

    arrives: float
    order: int
    what: str
    region: int
    block: int
    sent: float
    holds: bool = False


@dataclass(slots=True)
class Network:
    """Messages under way: each takes up to `delay` seconds, some are lost, and none passes where it is cut."""

    world: World
    chance: Random
    cuts: list[list[tuple[float, float]]]
    messages: int = 0
    _under_way: list[Message] = field(default_factory=list)

    def send(self, now: float, what: str, region: int, block: int, sent: float, holds: bool = False) -> None:
        """Let one go."""
        self.messages += 1
        lost = self.world.faults and self.chance.random() < self.world.loss
        if not lost and not broken(self.cuts[region], now):
            arrives = now + self.chance.uniform(0, self.world.delay)
            heapq.heappush(self._under_way, Message(arrives, self.messages, what, region, block, sent, holds))

    def arrived(self, now: float) -> Iterator[Message]:
        """Those that get there by now."""
        while self._under_way and self._under_way[0].arrives <= now:
            message = heapq.heappop(self._under_way)
            if not broken(self.cuts[message.region], now):
                yield message


def simulate(world: World) -> Outcome:
    """Second by second. The clocks are as wrong as is allowed: the bank's fast, every other region's slow."""
    chance = Random(world.seed + 1)
    faults = Faults.of(world, chance)
    network, bank = Network(world, chance, faults.cuts), Bank(world.cap // world.block, world.lease)
    regions = [Region(n, world, 1 - world.drift * (-1) ** n) for n in range(world.regions)]
    peak = total = 0
    for now, coming in enumerate(arrivals(world)):
        for message in network.arrived(now):
            name = message.region, message.block
            if message.what != "answer":
                holds = bank.ask(message.what, name, now * (1 + world.drift))
                network.send(now, "answer", *name, message.sent, holds)
            elif not regions[message.region].down:
                regions[message.region].hear(message.block, message.sent, message.holds)
        for region in regions:
            region.pass_time(now * region.rate, broken(faults.crashes[region.number], now))
        for where, stay in coming:
            regions[where].admit(now * regions[where].rate, stay)
        running = sum(len(region.stays) for region in regions)
        peak, total = max(peak, running), total + (running if now >= world.counted_from else 0)
        for region in regions:
            for what, block in region.requests(now * region.rate):
                network.send(now, what, region.number, block, now * region.rate)
    starts, cut = sum(region.starts for region in regions), sum(region.cut for region in regions)
    return Outcome(peak, total / (world.seconds - world.counted_from), starts, cut, network.messages)
