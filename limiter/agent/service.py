"""The agent itself: answers `run` and `agent --status` over its socket, and lives as long as there is something to do.

Promises: it ends only where it holds no bot (SIGTERM before that makes it leave as soon as the last has ended); killed,
its guardian starts it again, and where that is killed, it becomes guardian itself. SIGHUP: the same program from its
files once more, after an update.
"""

import asyncio
import json
import logging
import logging.handlers
import os
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any

from limiter.agent import cost, message, strangers
from limiter.agent.book import Book
from limiter.agent.guardian import PACKAGE_FOLDER, command, own_environment
from limiter.agent.limiter_api import Refused
from limiter.agent.message import HEADER, PROTOCOL, Fields
from limiter.agent.options import Options
from limiter.agent.report import report
from limiter.agent.roster import Roster
from limiter.agent.run import usable_folder
from limiter.agent.words import UNREADABLE, Unable, text

STILL_SECONDS = 5.0
LOG_BYTES = 1_000_000


def main(path: str, descriptor: int, arguments: list[str]) -> int:
    """Be the agent of the socket at `path`; `descriptor` holds its folder's lock. The exit status."""
    options = Options(arguments)
    os.set_inheritable(descriptor, False)
    log = logger(path, options.away)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # two a bot, or one a process
    agent = Agent(path, descriptor, options, log)
    try:
        status = asyncio.run(agent.serve())
    except OSError as error:
        log("agent_cannot_start", why=error)
        status = UNREADABLE
    logging.shutdown()
    os._exit(status)  # without waiting for calls that are on their way


def logger(path: str, away: bool) -> Any:
    """One event a line: beside the socket, or on stderr for who started it in the foreground."""
    handler: logging.Handler = logging.StreamHandler()
    if away:
        file = os.path.join(os.path.dirname(path), "agent.log")
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
        os.chmod(file, 0o600)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("limiter.agent")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False

    def write(event: str, **facts: object) -> None:
        log.info("%s %s", event, " ".join(f"{name}={value}" for name, value in facts.items()))

    return write


class Agent:
    """One process for all bots of an OS user on a host."""

    def __init__(self, path: str, descriptor: int, options: Options, log: Any) -> None:
        self.path, self._descriptor, self.options, self.log = path, descriptor, options, log
        self.began = time.time()
        self.leaving = False
        self._asked_at = time.monotonic()
        self._connections = 0
        self._over = asyncio.Event()

    async def serve(self) -> int:
        """Until there is nothing to do, or it makes place for another; the exit status."""
        book, options = Book(os.path.dirname(self.path)), self.options
        self.roster = Roster(book, self.log, groups=options.groups, grace_seconds=options.grace_seconds)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.roster.watcher.descriptor, self.roster.watcher.run)
        for number, then in ((signal.SIGTERM, self.leave), (signal.SIGINT, self.leave), (signal.SIGHUP, self.again)):
            loop.add_signal_handler(number, then)
        self._watch_guardian(loop)
        self.roster.take_over()
        server = await asyncio.start_unix_server(self._connected, sock=self._listening())
        self.log("agent_started", pid=os.getpid(), socket=self.path, bots=len(self.roster.bots))
        measured, told = cost.measure(self.roster, self.options), strangers.tell(self.roster, self.options)
        for work in (self.roster.watch(), self.roster.check(), self._idle(), measured, told):
            self.roster.background(self._or_end(work))
        await self._over.wait()
        server.close()
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        self.roster.close()
        self.log("agent_ended", pid=os.getpid())
        return 0

    async def _or_end(self, work: Any) -> None:
        """A fault in what keeps bots is not lived with: the guardian starts an agent that reads the book."""
        try:
            await work
        except Exception:
            logging.getLogger("limiter.agent").exception("agent_failed")
            logging.shutdown()
            os._exit(1)

    def _listening(self) -> socket.socket:
        """The socket, in place of one that a killed agent left."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        inside = f"/proc/self/fd/{self._descriptor}/{os.path.basename(self.path)}"  # however long the path is
        before = os.umask(0o177)
        try:
            listening.bind(inside)
        finally:
            os.umask(before)
        listening.listen(1024)
        listening.setblocking(False)
        return listening

    # Its life

    def leave(self) -> None:
        """End as soon as no bot is held."""
        self.leaving = True
        self.log("agent_leaves", bots=len(self.roster.bots))
        if not self.roster.bots:
            self._over.set()

    def again(self, python: str = "", folder: str = "") -> None:
        """Become this program once more, by its guardian; or that of another Python and folder."""
        self.log("agent_becomes_another", python=python or sys.executable)
        if self.options.guardian == os.getppid():
            os.kill(self.options.guardian, signal.SIGKILL)
        os.set_inheritable(self._descriptor, True)
        environment = own_environment() | {"PYTHONPATH": folder or PACKAGE_FOLDER}
        whole = command(
            "limiter.agent.guardian", ["--serve", self.path, str(self._descriptor), *self.options.handed_on]
        )
        program = python or sys.executable
        os.execve(program, [program, *whole[1:]], environment)  # noqa: S606

    def _watch_guardian(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.options.guardian:
            return
        guardian = os.pidfd_open(self.options.guardian)
        if os.getppid() != self.options.guardian:
            self.again()
        loop.add_reader(guardian, self.again)

    async def _idle(self) -> None:
        """End where it was started by a `run` and nothing is left to do, or where it was told to leave."""
        while True:
            await asyncio.sleep(min(1.0, self.options.idle_seconds))
            self._still_there()
            idle = not self.roster.bots and not self._connections and self.options.away
            if self.roster.bots or self._connections:
                self._asked_at = time.monotonic()
            if (self.leaving and not self.roster.bots and not self._connections) or (  # who asked for it is answered
                idle and time.monotonic() - self._asked_at > self.options.idle_seconds
            ):
                self._over.set()

    def _still_there(self) -> None:
        """A folder in /run/user goes with the last login of the user, bots do not: go on where there is one."""
        if os.path.exists(self.path):
            return
        self.log("socket_gone", socket=self.path)
        try:
            folder = usable_folder()
            if not folder.locked():
                raise BlockingIOError(folder.path)  # another agent came in between
            self.roster.move_to(Book(os.path.dirname(folder.path)))
        except (OSError, Unable) as error:  # the bots are held on to; it is tried again in a second
            self.log("no_place_for_a_socket", why=error)
            return
        self.path, self._descriptor = folder.path, folder.descriptor
        self.again()

    # What is asked of it

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            pid, user = message.peer(writer.get_extra_info("socket"))
            if user != os.geteuid():
                return
            question = message.unpacked(await reader.readexactly(message.length(await reader.readexactly(HEADER))))
            await self._answered(reader, writer, asyncio.create_task(self._answer(question, pid)), question)
        except (OSError, ValueError, KeyError, asyncio.IncompleteReadError):  # it went away, or was none of ours
            pass
        finally:
            self._connections -= 1
            writer.close()

    async def _answered(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: asyncio.Task[Fields],
        question: Fields,
    ) -> None:
        """Send the answer when it is there, and a sign of life until then, with what the roster has the person told
        meanwhile. Nobody waits any more: no answer."""
        gone = asyncio.create_task(reader.read(1))
        while not answer.done():
            await asyncio.wait({answer, gone}, timeout=STILL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and gone.done():
                answer.cancel()
                return
            if not answer.done():
                writer.write(message.packed({"still": "1"} | {"told": question.get("told", "")}))
        gone.cancel()
        writer.write(message.packed(answer.result()))
        await writer.drain()

    async def _answer(self, question: Fields, pid: int) -> Fields:
        if int(question.get("protocol", "0")) > PROTOCOL:
            return {"status": "older"}
        answers = {
            "start": self._start, "adopt": self._start, "status": self._status, "stop": self._stop,
            "make place": self._make_place, "give way": self._give_way,
        }  # fmt: skip
        try:
            return await answers[question["ask"]](question, pid)
        except Refused as refused:
            return {"status": str(refused.exit_status), "sentence": str(refused)}
        except Unable as unable:
            return {"status": str(unable.status), "sentence": str(unable)}

    async def _start(self, question: Fields, pid: int) -> Fields:
        self.leaving = False
        if not pid:
            told = text(
                fr="L'agent ne voit pas ce processus : il est dans un autre espace de pid. Utilise --direct.",
                en="The agent does not see this process: it is in another pid namespace. Use --direct.",
                language=question["language"],
            )
            raise Unable(UNREADABLE, told)
        return await self.roster.start(question, pid)

    async def _status(self, _question: Fields, _pid: int) -> Fields:
        told = report(self.roster, self.options.guardian, self.path, self.began, self.leaving)
        return {"report": json.dumps(told)}

    async def _make_place(self, question: Fields, _pid: int) -> Fields:
        asyncio.get_running_loop().call_later(0.05, partial(self.again, question["python"], question["folder"]))
        return {"done": "1"}

    async def _give_way(self, _question: Fields, _pid: int) -> Fields:
        """To an agent in the foreground, which finds the bots in the book."""
        if not self.options.away:
            return {}
        self.log("agent_gives_way", bots=len(self.roster.bots))
        asyncio.get_running_loop().call_later(0.05, self._over.set)
        return {"done": "1"}

    async def _stop(self, question: Fields, _pid: int) -> Fields:
        bots = len(self.roster.bots)
        if bots and "force" not in question:
            return {"held": str(bots)}
        self.roster.end_all()
        self.leaving = True
        while self.roster.bots:
            await asyncio.sleep(0.05)
        asyncio.get_running_loop().call_later(0.05, self._over.set)
        return {"done": str(bots)}
