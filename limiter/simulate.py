"""Simulated bots against a running limiter, over HTTP: they start, trade, signal, stop, crash and fall silent.

Promises: the same seed does the same things at the same times; what the bots hold is counted by themselves, so
a limiter that admits above its limit is found out whatever it says of itself.
Does not promise: the same refusals (the limiter decides those, and its other bots); to leave nothing behind (what
crashed or fell silent holds its slot until its lease has run out); a true count where an operator ends sessions
meanwhile (their bots are told with their next beat).
"""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from limiter.client import AsyncBotSession, Refused
from limiter.rules.refusals import REASONS
from limiter.rules.words import Words

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
# Shares of the whole time. All have asked before the first leaves, so more bots than slots means refusals.
ARRIVED, LEAVING, LEFT = 0.3, 0.5, 0.9
ENDS = {"stopped": 70, "crashed": 10, "crashed and came back": 10, "fell silent": 10}  # of 100 bots
GREEDY = 0.1  # of the users ask for a second bot
CALLS = 10  # trades, signals and tokens of one bot, about


NO_LIMITER = {
    "out_of_reach": Words("limiteur hors d'atteinte", "limiter out of reach"),
    "not_a_limiter": Words("ce n'est pas le limiteur", "what answers is no limiter"),
}
"""What the client says where the limiter did not."""


@dataclass(slots=True)
class Tally:
    """What the bots saw. `held` are the slots that they surely hold now, `limit` the highest that an answer named."""

    admitted: int = 0
    held: int = 0
    most_held: int = 0
    limit: int = 0
    over: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    sentences: dict[str, str] = field(default_factory=dict)
    start_ms: list[float] = field(default_factory=list)
    call_ms: list[float] = field(default_factory=list)

    def admit(self, limit: int, *, new_slot: bool) -> None:
        """One more start was granted, under that limit."""
        self.admitted += 1
        self.held += new_slot
        self.most_held = max(self.most_held, self.held)
        self.limit = max(self.limit, limit)  # a lowered limit ends nobody
        self.over = max(self.over, self.held - self.limit)

    def unanswered(self) -> str | None:
        """Why no limiter was heard at all, as a sentence; None where one was, or nobody asked."""
        if self.admitted or not self.refused or not self.refused.keys() <= NO_LIMITER.keys():
            return None
        return self.sentences[self.refused.most_common(1)[0][0]]

    def free(self) -> None:
        """A slot is no longer surely held: said before its stop is sent."""
        self.held -= 1

    async def time(self, call: Awaitable[object], durations: list[float]) -> bool:
        """Whether that was granted; how long it took in ms, or why it was refused, is written down."""
        began = time.perf_counter()
        try:
            await call
        except Refused as refused:
            self.refused[refused.reason] += 1
            self.sentences[refused.reason] = str(refused)
            return False
        finally:
            durations.append((time.perf_counter() - began) * 1000)
        return True

    def figures(self) -> dict[str, Any]:
        """The same for a program; times in milliseconds."""
        return {
            "admitted": self.admitted,
            "most_held": self.most_held,
            "limit": self.limit,
            "over": self.over,
            "done": dict(self.done),
            "refused": dict(self.refused),
            "start_ms": {"p50": percentile(self.start_ms, 50), "p99": percentile(self.start_ms, 99)},
            "call_ms": {"p50": percentile(self.call_ms, 50), "p99": percentile(self.call_ms, 99)},
        }


class SimulatedBot(AsyncBotSession):
    """A bot that can vanish, and beats from a task: thousands live in one process."""

    _task: asyncio.Task[None] | None = None

    def keep(self) -> None:
        """Beat from here on."""
        self._task = asyncio.create_task(self._beat_from_task())

    async def _beat_from_task(self) -> None:
        self._lose(await self._drive(self._beating()))

    async def stop(self) -> dict[str, Any] | None:
        """Give the slot back and beat no more."""
        if self._task is not None:
            self._task.cancel()
        return await super().stop()

    async def vanish(self) -> float:
        """End as a crash does, without a stop: for how many seconds the slot is surely held on."""
        if self._task is not None:
            self._task.cancel()
        await self._async_http.aclose()
        return max(0.0, self._hold_until - time.monotonic())


async def simulate(
    connection: Mapping[str, Any], *, bots: int, seconds: float, seed: int, tick: Callable[[float, Tally], object]
) -> Tally:
    """So many bots for so many seconds. `tick` is told ten times a second what share of the time has gone by."""
    tally = Tally()
    began = time.monotonic()
    lives = [asyncio.create_task(live(connection, f"sim{seed}-{number}", seconds, tally)) for number in range(bots)]
    pending = set(lives)
    while pending:
        _, pending = await asyncio.wait(pending, timeout=0.1)
        tick(min(1.0, (time.monotonic() - began) / seconds), tally)
    await asyncio.gather(*lives)  # raises what went wrong in them
    return tally


async def live(connection: Mapping[str, Any], name: str, seconds: float, tally: Tally) -> None:
    """One user and their bot, from its arrival to its end."""
    chance = random.Random(name)
    began = time.monotonic()
    arrives, leaves = chance.uniform(0, ARRIVED), chance.uniform(LEAVING, LEFT)
    end = chance.choices(tuple(ENDS), tuple(ENDS.values()))[0]

    async def start(bot_id: str = "main", *, new_slot: bool = True) -> SimulatedBot | None:
        bot = SimulatedBot(**connection, user_id=name, bot_id=bot_id)
        if not await tally.time(bot.start(), tally.start_ms):
            return None
        tally.admit(bot.limits["MAX_CONCURRENT_BOTS"], new_slot=new_slot)
        return bot

    async def until(share: float) -> None:
        await asyncio.sleep(began + share * seconds - time.monotonic())

    await until(arrives)
    bot = await start()
    if bot is None:
        await until(leaves)  # others leave too: ask once more
        leaves = 1.0
        bot = await start()
    if bot is None:
        return
    tally.done[end] += 1
    if end == "fell silent":
        asyncio.get_running_loop().call_later(await bot.vanish(), tally.free)
        return
    bot.keep()
    try:
        if chance.random() < GREEDY and (second := await start("second")):
            tally.free()
            await second.stop()
        while time.monotonic() < began + leaves * seconds and not bot.lost.is_set():
            await asyncio.sleep(min(chance.expovariate(CALLS / seconds), seconds / CALLS))
            await work(bot, chance, tally)
    finally:
        if end == "stopped":
            tally.free()
            await bot.stop()
    if end == "stopped":
        return
    held_on = await bot.vanish()
    if end == "crashed and came back" and (again := await start(new_slot=False)):
        again.keep()
        await until(1.0)
        tally.free()
        await again.stop()
    else:
        asyncio.get_running_loop().call_later(held_on, tally.free)


async def work(bot: AsyncBotSession, chance: random.Random, tally: Tally) -> None:
    """One thing that a bot does."""
    what = chance.choices(("trades", "signals", "tokens"), (5, 3, 2))[0]
    call: Awaitable[object]
    if what == "trades":
        symbol, price = chance.choice(SYMBOLS), round(chance.uniform(10, 1000), 2)
        call = bot.trade(symbol=symbol, side=chance.choice(("buy", "sell")), quantity="0.5", price=price)
    else:
        call = bot.signal() if what == "signals" else bot.tokens(chance.randint(1, 5))
    granted = await tally.time(call, tally.call_ms)  # a += around an await would lose what others count meanwhile
    tally.done[what] += granted


def label(reason: str, language: str) -> str:
    """A reason in a row's name; that of a limiter which is newer than this, as it is."""
    if (words := NO_LIMITER.get(reason)) is not None:
        return words.told(language)
    return REASONS[reason].label(language) if reason in REASONS else reason


def summary(tally: Tally, text: Callable[..., str]) -> list[tuple[str, object, str]]:
    """What, how much, and a word on it: the rows that `simulate` prints. `text(fr=, en=)` chooses the language."""
    french = dict(zip(ENDS, ("arrêtés", "plantés", "plantés et revenus", "devenus muets"), strict=True))
    granted, of = text(fr="accordés", en="granted"), text(fr="sur", en="of")
    rows: list[tuple[str, object, str]] = [(text(fr="démarrages admis", en="starts admitted"), tally.admitted, "")]
    rows += [
        (
            text(fr=f"refus : {label(reason, 'fr')}", en=f"refused: {label(reason, 'en')}"),
            n,
            tally.sentences[reason],
        )
        for reason, n in tally.refused.most_common()
    ]
    rows += [(text(fr=f"bots {french[end]}", en=f"bots that {end}"), tally.done[end], "") for end in ENDS]
    rows += [
        (what, tally.done[done], granted)
        for done, what in (("trades", "trades"), ("signals", text(fr="signaux", en="signals")), ("tokens", "tokens"))
    ]
    rows += [
        (
            f"{what}, p50 / p99",
            text(fr=ms.replace(".", ","), en=ms),
            f"{of} {len(durations)}",
        )
        for what, durations in (
            (text(fr="démarrage", en="start"), tally.start_ms),
            (text(fr="autres appels", en="other calls"), tally.call_ms),
        )
        for ms in (f"{percentile(durations, 50):.1f} / {percentile(durations, 99):.1f} ms",)
    ]
    rows.append(
        (text(fr="places prises au plus", en="most slots held at once"), tally.most_held, f"{of} {tally.limit}")
    )
    fine, broken = text(fr="jamais", en="never"), text(fr="LA LIMITE A ÉTÉ DÉPASSÉE", en="THE LIMIT WAS BROKEN")
    rows.append((text(fr="au-dessus de la limite", en="above the limit"), tally.over, broken if tally.over else fine))
    return rows


def percentile(durations: list[float], percent: int) -> float:
    """Of the durations; 0 where there are none."""
    return (
        statistics.quantiles(durations, n=100, method="inclusive")[percent - 1]
        if len(durations) > 1
        else sum(durations)
    )
