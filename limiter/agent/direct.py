"""`run` without the agent: a small parent that stays beside the bot. For pid 1 of a container, and for `--direct`.

Promises: the command runs in a slot; every signal that comes here reaches it once; the exit status is its own, 128 + N
where signal N ended it; what it leaves behind is reaped, and belongs to the bot: the slot is held until the last of it
has ended. Where the slot is lost, all of them are ended. Where this process is killed, a guard takes them with it.
Does not promise: to find, after such a kill, what left the group and cleared its environment.
"""

import ctypes
import os
import resource
import signal
import sys
import time
from contextlib import suppress

from limiter.agent import processes
from limiter.agent.becoming import NETWORK, become, environment
from limiter.agent.command_line import Wanted
from limiter.agent.guards import LOOK_SECONDS, Ear, guard
from limiter.agent.limiter_api import Answer, Channel, Refused
from limiter.agent.slot import GRACE_SECONDS, Slot
from limiter.agent.words import BY_SIGNAL, Unable, say, text

PR_SET_CHILD_SUBREAPER = 36
NOT_PASSED_ON = {signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP}
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT}


def run(wanted: Wanted, file: str) -> int:
    """Take a slot, run the command in it; the exit status that this process should have. Raises Unable."""
    network = {name: value for name in NETWORK if (value := os.environ.get(name) or os.environ.get(name.upper()))}
    language = os.environ.get("LIMITER_LANG", "")
    if os.getpid() == 1:  # whose signals have no effect by default
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: os._exit(BY_SIGNAL + number))
    try:
        slot = Slot(Channel(wanted.url, wanted.key, network, language), language)
        slot.take(wanted)
    except Refused as refused:
        raise Unable(refused.exit_status, str(refused)) from None
    try:
        return Parent(wanted, file, slot).run()
    finally:
        slot.give_back()


class Parent:
    """What stands beside the command: signals in, ends out."""

    def __init__(self, wanted: Wanted, file: str, slot: Slot) -> None:
        self._wanted, self._file, self._slot = wanted, file, slot
        self._own_group = not in_foreground_of_terminal()  # in another group it could not read from the terminal
        self._guard = 0
        self._ear: Ear | None = None
        self._child = 0
        self._status: int | None = None
        self._end_at: float | None = None
        self._cpu_seconds = 0.0
        self._notice: Answer | None = None

    def run(self) -> int:
        """The exit status of the command, when it and all that it started have ended. Raises Unable."""
        heard = set(signal.valid_signals()) - NOT_PASSED_ON - FAULTS | {signal.SIGCHLD}
        before = set(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, heard)))
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        deaf = signal.signal(signal.SIGCHLD, signal.SIG_DFL) is signal.SIG_IGN  # no end of a child would be told
        ours, theirs = os.pipe()
        self._child = self._start(before, deaf)
        self._ear = None if self._own_group else Ear(heard - {signal.SIGCHLD})
        self._guard = guard(self._child if self._own_group else 0, self._slot.session_id, (ours, theirs))
        os.close(ours)
        self._slot.keep(self._cost)
        while self._status is None or self._descendants():
            self._hear(heard)
            self._reap()
            self._mind_the_slot()
        with suppress(ProcessLookupError):
            os.kill(self._guard, signal.SIGKILL)
        if self._ear is not None:
            self._ear.close()
        return self._status

    def _start(self, mask: set[int], deaf: bool) -> int:
        """Fork the command, deaf to SIGCHLD where we were; its pid. Raises Unable where it cannot be executed."""
        failed, says = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if self._own_group:
                    os.setpgid(0, 0)
                if deaf:
                    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                become(self._wanted.command, self._file, environment(self._wanted.url, self._slot.session_id))
            except Unable as unable:
                os.write(says, f"{unable.status} {unable}".encode())
            finally:
                os._exit(1)
        os.close(says)
        said = os.read(failed, 4096).decode("utf-8", "replace")
        os.close(failed)
        if said:
            os.waitpid(child, 0)
            status, _, sentence = said.partition(" ")
            raise Unable(int(status), sentence)
        return child

    def _hear(self, heard: set[signal.Signals]) -> None:
        """Wait for a signal, a moment at most, and pass it on."""
        found = signal.sigtimedwait(heard, LOOK_SECONDS)
        if found is None or found.si_signo == signal.SIGCHLD or self._status is not None:
            if self._ear is not None:
                self._ear.note()  # so that none of it is taken for what comes later
            return
        if self._ear is not None and self._ear.everybody_heard(found.si_signo):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self._child, found.si_signo)

    def _reap(self) -> None:
        """Take note of all that ended, ours or left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child and os.WIFSTOPPED(status):
                if not self._own_group:  # the shell that waits for us shall see a job that stands
                    os.kill(os.getpid(), signal.SIGSTOP)
            elif pid == self._child:
                code = os.waitstatus_to_exitcode(status)
                self._status = BY_SIGNAL - code if code < 0 else code

    def _descendants(self) -> list[processes.Process]:
        """All that lives of the bot: as their subreaper, this process is above each of them."""
        table, found = processes.everything(), list[processes.Process]()
        above, beside = {os.getpid()}, {self._guard, self._ear.pid if self._ear else 0}
        for process in sorted(table.values(), key=lambda one: one.start):
            if process.parent in above and process.pid not in beside:
                above.add(process.pid)
                if process.lives:
                    found.append(process)
        return found

    def _cost(self) -> Answer:
        """What the bot costs: memory that nobody shares, CPU seconds."""
        living = self._descendants()
        ticks = sum(one.own_ticks + one.waited_for_ticks for one in living)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._cpu_seconds = max(self._cpu_seconds, ticks / processes.TICKS + ended.ru_utime + ended.ru_stime)
        memory = [held for one in living if (held := processes.unshared_bytes(one.pid)) is not None]
        told = {"memory_bytes": sum(memory)} if memory else {}
        return told | {"cpu_seconds": round(self._cpu_seconds, 2)}

    def _mind_the_slot(self) -> None:
        """Tell of an end that is announced. End all where the slot is lost: SIGTERM, ten seconds, SIGKILL."""
        told, self._notice = self._notice, self._slot.notice
        if self._notice is not None and self._notice != told and self._wanted.notice_signal and self._status is None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._child, self._wanted.notice_signal)
        ends_at = self._slot.ends_at
        if ends_at is not None and time.monotonic() >= ends_at and not self._slot.lost:
            self._slot.lost = text(fr="Arrêt annoncé.", en="The end that was announced has come.")
        if not self._slot.lost:
            return
        if self._end_at is None:
            keep = self._wanted.on_lost == "keep"
            self._end_at = float("inf") if keep else time.monotonic() + GRACE_SECONDS
            what_now = (
                text(fr="La commande continue sans place.", en="The command goes on without a slot.")
                if keep
                else text(fr="La commande est arrêtée.", en="The command is stopped.")
            )
            say(f"{self._slot.lost} {what_now}")
            if not keep:
                self._signal_all(signal.SIGTERM)
        elif time.monotonic() > self._end_at:
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        for process in self._descendants():
            descriptor = processes.opened(process.pid, process.start)
            if descriptor is not None:
                processes.send(descriptor, number)
                if process.state == "T":  # it stands, and would not hear
                    processes.send(descriptor, signal.SIGCONT)
                os.close(descriptor)


def in_foreground_of_terminal() -> bool:
    """Whether what is typed at the terminal of our input is for us."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
