"""All bots of one agent, from the slot to the end of the last process.

Promises: what holds a slot is in the book before `run` is told; a slot is given back when the last process has ended,
and not before; where it is lost, the processes are ended before the lease is, unless the bot is to be kept.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from limiter.agent import cgroups, processes
from limiter.agent.adopting import living, refuse_what_is_no_bot, tree
from limiter.agent.asking import entry_of, given_back, taken, undone
from limiter.agent.becoming import NETWORK
from limiter.agent.book import Book, Entry
from limiter.agent.bot import Bot
from limiter.agent.limiter_api import Channel, Refused
from limiter.agent.line import Line
from limiter.agent.members import Look, Members, Watcher, now_in_ticks
from limiter.agent.message import Fields
from limiter.agent.pacing import Pacing
from limiter.agent.words import REFUSED, Unable, text

YOUNG_SECONDS = 10.0
LOOK_SECONDS, LOOK_AT_THE_YOUNG_SECONDS, LOOK_BESIDE_GROUPS_SECONDS = 1.0, 0.25, 5.0
CHECK_SECONDS = 0.5  # between two checks of what is about to be lost
KILL_AGAIN_SECONDS, UNTOUCHABLE_SECONDS = 0.1, 5.0


class Roster:
    """The bots, what is asked for them, and what becomes of them."""

    def __init__(self, book: Book, log: Callable[..., None], *, groups: bool, grace_seconds: float) -> None:
        self.bots = dict[str, Bot]()
        """By the Idempotency-Key of the start."""
        self.lines = dict[tuple[Any, ...], Line]()
        self.watcher = Watcher()
        self.pacing = Pacing()
        self.log = log
        self._book, self._groups, self._grace_seconds = book, groups, grace_seconds
        self._look = Look()
        self._look_due = asyncio.Event()
        self._tasks = set[asyncio.Task[Any]]()

    # A slot for a process

    async def start(self, question: Fields, pid: int) -> Fields:
        """Take a slot for the process and answer its `run`. Raises Unable, Refused; cancelled, it takes none."""
        again = question["again"]
        if (bot := self.bots.get(again)) is not None:  # the agent was killed before its answer came
            return self._admitted(bot)
        adopted, language = "pid" in question, question.get("language", "")
        if adopted:
            pid = int(question["pid"])
        process = living(pid, language)
        if adopted:
            refuse_what_is_no_bot(process, {pid for bot in self.bots.values() for pid in bot.members.pids()}, language)
        network = {name: question[name] for name in NETWORK if name in question}
        line = self.line(question["url"], question["key"], network, language)
        asking = asyncio.create_task(taken(line, question, pid))
        try:
            answer, asked_at = await asyncio.shield(asking)
        except asyncio.CancelledError:  # `run` was ended while it waited: what was on its way is given back
            self.background(undone(line, asking, question))
            raise
        entry = entry_of(question, answer["session"], network, process, asked_at)
        entry.since = 0 if adopted else now_in_ticks()
        try:
            bot = self._hold(entry, line, make=True)
            self._book.write(entry)
        except OSError as error:
            self.background(given_back(line, entry.session_id, time.monotonic() + entry.lease_seconds))
            told = text(
                fr="Le registre de l'agent ne peut pas être écrit",
                en="The agent's book cannot be written",
                language=language,
            )
            raise Unable(REFUSED, f"{told} ({error.strerror or error}).") from None
        self.log("bot_started", bot=bot.name, pid=pid, session=entry.public_id, by="group" if entry.group else "tree")
        if not adopted:
            await self.pacing.turn(bot.members.cpu_seconds)
        return self._admitted(bot)

    def _admitted(self, bot: Bot) -> Fields:
        return {"session_id": bot.entry.session_id, "public_id": bot.entry.public_id}

    def line(self, url: str, key: str, network: dict[str, str], language: str) -> Line:
        """The line to that limiter. Raises Refused, in that language, where a setting cannot be read."""
        name = (url, key, *sorted(network.items()))
        if name not in self.lines:
            self.lines[name] = Line(Channel(url, key, network, language), self._lost, self._renewed, self.log)
        return self.lines[name]

    def _hold(self, entry: Entry, line: Line, *, make: bool) -> Bot:
        """The bot of that entry, watched and beaten for."""
        group = cgroups.Cgroup(entry.group) if entry.group else None
        if make and self._groups:
            pids = [entry.pid] if entry.since else tree(entry.pid)
            group = cgroups.made_for(pids, f"{entry.public_id}-{entry.again[:8]}")
            entry.group = group.folder if group else None
        elif group is not None and not group.exists():
            group = None
        members = Members(entry.session_id, group, self.watcher, self._look_due.set, entry.since)
        if group is None:
            members.add(entry.pid, entry.start)
        for pid, start in entry.known:
            members.add(pid, start)
        entry.known = [list(identity) for identity in members.identities()]
        bot = self.bots[entry.again] = Bot(entry, members)
        line.add(bot, at_once=not make)
        self._look_due.set()
        return bot

    # What the last agent left

    def take_over(self) -> None:
        """Go on with every bot of the book."""
        for entry in self._book.read():
            try:
                line = self.line(entry.url, entry.key, entry.network, entry.language)
                bot = self._hold(entry, line, make=False)
            except (Refused, OSError) as error:
                self.log("bot_not_taken_over", bot=f"{entry.user_id}/{entry.bot_id}", why=error)
                continue
            if entry.ending:
                self._end(bot, entry.gone or "…")
            self.log("bot_taken_over", bot=bot.name, pid=entry.pid, lives=bot.members.alive())

    # Ends

    async def watch(self) -> None:
        """Find what each bot has become, for as long as the agent lives."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_due.wait(), self._pause())
            self._look_due.clear()
            if not self.bots:
                continue
            ended = [bot for bot in self.bots.values() if not bot.members.alive()]
            self._look.take([bot.members for bot in self.bots.values()])  # one may have left the group, or the tree
            for bot in ended:
                if not bot.members.alive():
                    self._release(bot)
            for bot in self.bots.values():
                known = [list(identity) for identity in bot.members.identities()]
                if known != bot.entry.known:
                    bot.entry.known = known
                    self._write(bot)

    async def check(self) -> None:
        """End what is not renewed in time, for as long as the agent lives."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            now = time.monotonic()
            for bot in list(self.bots.values()):
                unsure = now > bot.hold_until and not bot.entry.gone and not bot.released
                if unsure and bot.ending is None and not bot.told_to_go_on:
                    self._end(bot, "out_of_reach")
                due = bot.ends_at is not None and now >= bot.ends_at and not bot.entry.gone and not bot.released
                if due and bot.ending is None and not bot.told_to_go_on:
                    self._end(bot, "announced")

    def _pause(self) -> float | None:
        if not self.bots:
            return None
        now, alone = time.time(), [bot for bot in self.bots.values() if bot.members.group is None]
        if any(now - bot.entry.started_at < YOUNG_SECONDS for bot in alone):
            return LOOK_AT_THE_YOUNG_SECONDS
        return LOOK_SECONDS if alone else LOOK_BESIDE_GROUPS_SECONDS

    def _renewed(self, bots: Sequence[Bot]) -> None:
        for bot in bots:
            if bot.news:
                bot.news = False
                self._pass_on(bot)
        try:
            self._book.renewed({bot.entry.again: bot.entry.asked_at for bot in self.bots.values()})
        except OSError as error:
            self.log("book_not_written", why=error)

    def _pass_on(self, bot: Bot) -> None:
        """Tell the bot that its end is announced: its first process alone, for others may not know the signal."""
        entry = bot.entry
        self.log("end_announced", bot=bot.name, pid=entry.pid, at=(entry.notice or {}).get("at"))
        self._write(bot)  # so that the next agent does not tell it once more
        descriptor = processes.opened(entry.pid, entry.start) if entry.notice_signal else None
        if descriptor is not None:
            processes.send(descriptor, entry.notice_signal)
            os.close(descriptor)

    def _lost(self, bot: Bot, why: str) -> None:
        """The limiter says that the session has ended."""
        bot.entry.gone = why
        if bot.ending is None:
            self._end(bot, why)
        self._write(bot)

    def _end(self, bot: Bot, why: str) -> None:
        """End its processes, unless it is to be kept."""
        if bot.entry.on_lost == "keep":
            bot.told_to_go_on = True
            self.log("slot_lost_bot_goes_on", bot=bot.name, pid=bot.entry.pid, why=why)
            return
        self.log("slot_lost_bot_is_ended", bot=bot.name, pid=bot.entry.pid, why=why)
        bot.entry.ending = True
        self._write(bot)
        bot.ending = self.background(self._ended(bot))

    async def _ended(self, bot: Bot) -> None:
        """SIGTERM, the grace, SIGKILL until none is left."""
        self._look.take([bot.members for bot in self.bots.values()])
        bot.members.terminate()
        kill_at, said = time.monotonic() + self._grace_seconds, set[str]()
        while bot.members.alive() and not bot.released:
            untouchable = set(bot.members.untouchable.values())
            if untouchable - said:
                said |= untouchable
                self.log("bot_may_not_be_signalled", bot=bot.name, processes=sorted(untouchable))
            if time.monotonic() < kill_at:
                await asyncio.sleep(KILL_AGAIN_SECONDS)
                continue
            self._look.take([bot.members for bot in self.bots.values()])
            bot.members.kill()
            await asyncio.sleep(UNTOUCHABLE_SECONDS if bot.members.untouchable else KILL_AGAIN_SECONDS)
        self._look_due.set()

    def _release(self, bot: Bot) -> None:
        """The last process has ended: give the slot back."""
        if not bot.released:
            bot.released = True
            self.background(self._given_back(bot))

    async def _given_back(self, bot: Bot) -> None:
        line = next(line for line in self.lines.values() if bot in line.bots)
        line.remove(bot)
        if not bot.entry.gone:
            await given_back(line, bot.entry.session_id, bot.entry.asked_at + bot.entry.lease_seconds)
        bot.members.close()
        del self.bots[bot.entry.again]
        self._book.remove(bot.entry)
        self.log("bot_ended", bot=bot.name, pid=bot.entry.pid, session=bot.entry.public_id)

    def move_to(self, book: Book) -> None:
        """Write everything into another book. Raises OSError."""
        for bot in self.bots.values():
            book.write(bot.entry)
        self._book = book

    def end_all(self) -> None:
        """End every bot, as where its slot is lost."""
        for bot in self.bots.values():
            if bot.ending is None:
                bot.entry.on_lost = "stop"
                self._end(bot, "agent --stop --force")

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for line in self.lines.values():
            line.close()

    def _write(self, bot: Bot) -> None:
        try:
            self._book.write(bot.entry)
        except OSError as error:
            self.log("book_not_written", why=error)

    def background(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
