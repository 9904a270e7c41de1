"""What stands beside the small parent of `direct`: a guard that outlives it, and at a terminal an ear in its group."""

import ctypes
import os
import select
import signal
import time
from contextlib import suppress

from limiter.agent import processes

GUARD_GRACE_SECONDS = 2.0
LOOK_SECONDS = 0.1
TOGETHER_SECONDS = 0.1  # within which all of a group have heard what was sent to it
PR_SET_PDEATHSIG = 1


class Ear:
    """Tells what was sent to the whole process group from what was sent to this process alone.

    No signal says so itself. Therefore a child stays in the group, writes down what it hears, and does nothing else.
    """

    def __init__(self, signals: set[signal.Signals]) -> None:
        self._notes, theirs = os.pipe()
        self._heard = dict[int, float]()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._listen(parent, theirs, signals)
            finally:
                os._exit(0)
        os.close(theirs)

    def everybody_heard(self, number: int) -> bool:
        """Whether that signal, which came just now, was for the whole group. Waits a moment for the child to say so."""
        until = time.monotonic() + TOGETHER_SECONDS
        while number not in self._heard and (left := until - time.monotonic()) > 0:
            self.note(left)
        return time.monotonic() - self._heard.pop(number, float("-inf")) < 2 * TOGETHER_SECONDS

    def note(self, within: float = 0.0) -> None:
        """Take down what the child has heard by now, or hears within so many seconds."""
        if select.select([self._notes], [], [], within)[0] and (heard := os.read(self._notes, 4096)):
            self._heard |= dict.fromkeys(heard, time.monotonic())
        elif within:
            time.sleep(within)

    def close(self) -> None:
        """End the child."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    @staticmethod
    def _listen(parent: int, notes: int, signals: set[signal.Signals]) -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.set_blocking(notes, False)
        signal.set_wakeup_fd(notes, warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, lambda *_: None)
        let_go_of_all_but(notes)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        while os.getppid() == parent:
            signal.pause()


def guard(group: int, mark: str, pipe: tuple[int, int]) -> int:
    """Fork what ends the bot where this process is killed: SIGTERM, two seconds, SIGKILL. Its pid."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        ours, theirs = pipe
        os.close(theirs)
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()))
        let_go_of_all_but(ours)
        os.read(ours, 1)  # ends when nobody holds the other side any more
        end_at = time.monotonic() + GUARD_GRACE_SECONDS
        number = signal.SIGTERM
        while found := left_behind(group, mark):
            for process in found:
                descriptor = processes.opened(process.pid, process.start)
                if descriptor is not None:
                    processes.send(descriptor, number)
                    os.close(descriptor)
            while number == signal.SIGTERM and time.monotonic() < end_at and left_behind(group, mark):
                time.sleep(LOOK_SECONDS)
            number = signal.SIGKILL
            time.sleep(LOOK_SECONDS / 10)
    finally:
        os._exit(0)


def let_go_of_all_but(descriptor: int) -> None:
    """Close what belongs to others: who waits for the end of a pipe shall not wait for this process."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != descriptor:
            with suppress(OSError):
                os.close(int(name))


def left_behind(group: int, mark: str) -> list[processes.Process]:
    """What lives of a bot whose parent is gone: its group, those with its mark, and what descends from them.

    `group` is 0 where it has none of its own; so it is for those whose group is outside of this container, and for the
    kernel's threads: they are no part of it.
    """
    table = processes.everything()
    never = processes.own_line(table)
    found, above = list[processes.Process](), set[int]()
    for process in sorted(table.values(), key=lambda one: one.start):
        if process.pid in never or not process.lives:
            continue
        in_group = group != 0 and process.group == group
        if in_group or process.parent in above or processes.mark(process.pid) == mark:
            above.add(process.pid)
            found.append(process)
    return found
