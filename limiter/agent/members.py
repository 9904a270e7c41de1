"""Which processes are a bot: all that descends from its command, also after a double fork, `setsid` or `su`.

With a control group of its own (`cgroups`) the kernel keeps the list, and `known` holds only what was moved out of it,
as pam_systemd does. Without one, `known` holds every process: found by its parent, by the session it was put in, or by
the mark that every child inherits in its environment. What clears its environment and leaves parent and session within
the time between two looks is not found then; nothing short of a control group finds it.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from limiter.agent import processes
from limiter.agent.cgroups import Cgroup
from limiter.agent.processes import TICKS, Process

Identity = tuple[int, int]
"""A pid and its start in clock ticks."""


class Watcher:
    """Calls back when a process ends or a control group becomes empty; `descriptor` is readable when one is due."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks = dict[int, Callable[[], None]]()
        self.descriptor = self._epoll.fileno()

    def add(self, descriptor: int, events: int, callback: Callable[[], None]) -> None:
        self._epoll.register(descriptor, events)
        self._callbacks[descriptor] = callback

    def close(self, descriptor: int) -> None:
        """Watch it no more, and close it."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
        os.close(descriptor)

    def run(self) -> None:
        """Call back for all that is due now."""
        for descriptor, _ in self._epoll.poll(0):
            if callback := self._callbacks.get(descriptor):
                callback()


@dataclass(slots=True, eq=False)
class Known:
    """A process of a bot; `descriptor` is a pidfd, None where no more descriptors could be had."""

    pid: int
    start: int
    descriptor: int | None


class Members:
    """The processes of one bot. `changed` is called when there may be none any more."""

    def __init__(
        self, mark: str, group: Cgroup | None, watcher: Watcher, changed: Callable[[], None], since: int
    ) -> None:
        self.mark, self.group, self.since = mark, group, since
        """`since`: what started before it, in ticks since the boot, was there before the bot."""
        self.known = dict[int, Known]()
        self.past = set[int]()
        """Pids of ended members that others still have as their session."""
        self.untouchable = dict[Identity, str]()
        """Processes that this user may not signal, with their names."""
        self._told = set[Identity]()
        self._watcher, self._changed = watcher, changed
        self._events: int | None = None
        self._cpu_seconds = 0.0
        if group is not None:
            self._events = group.events()
            watcher.add(self._events, select.EPOLLPRI, changed)

    def add(self, pid: int, start: int) -> None:
        """Know one more process, that of the control group too."""
        if (known := self.known.get(pid)) is not None:
            if known.start == start:
                return
            self._forget(pid)
        descriptor = processes.opened(pid, start)
        if descriptor is None and ((process := processes.read(pid)) is None or process.start != start):
            return  # it has ended
        self.known[pid] = Known(pid, start, descriptor)
        if descriptor is not None:
            self._watcher.add(descriptor, select.EPOLLIN, lambda: self._ended(pid))

    def alive(self) -> bool:
        """Whether any of them lives."""
        for known in list(self.known.values()):
            if known.descriptor is None and not _still(known):
                self._forget(known.pid)
        return bool(self.known) or self._populated()

    def pids(self) -> set[int]:
        """Those that live, as far as they are known."""
        return set(self.known) | (self.group.pids() - {0} if self.group else set())

    def identities(self) -> list[Identity]:
        """What the next agent finds them by where there is no control group."""
        return [(known.pid, known.start) for known in self.known.values()]

    def close(self) -> None:
        """Watch none of them any more; takes the empty control group away."""
        for pid in list(self.known):
            self._forget(pid)
        if self._events is not None:
            self._watcher.close(self._events)
            self._events = None
        if self.group is not None:
            self.group.remove()

    # Ending them

    def terminate(self) -> None:
        """SIGTERM to each, once: what one starts while it closes its orders is left to work."""
        for identity, descriptor in self._reached():
            if identity in self._told:
                continue
            self._told.add(identity)
            self._send(identity, descriptor, signal.SIGTERM)
            process = processes.read(identity[0])
            if process is not None and process.state == "T":  # stopped at a terminal, it would not hear
                self._send(identity, descriptor, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to each."""
        in_group = self.group is not None and not self.group.pids() & (processes.own_line() - {0}) and self.group.kill()
        for identity, descriptor in self._reached(with_group=not in_group):
            self._send(identity, descriptor, signal.SIGKILL)

    def _send(self, identity: Identity, descriptor: int, number: int) -> None:
        if processes.send(descriptor, number):
            self.untouchable.pop(identity, None)
        else:
            process = processes.read(identity[0])
            self.untouchable[identity] = process.name if process else "?"

    def _reached(self, with_group: bool = True) -> Iterable[tuple[Identity, int]]:
        """Each of them with a pidfd that is surely its own."""
        never = processes.own_line()
        for known in list(self.known.values()):
            if known.pid in never:
                continue
            if known.descriptor is not None:
                yield (known.pid, known.start), known.descriptor
            elif (descriptor := processes.opened(known.pid, known.start)) is not None:
                yield (known.pid, known.start), descriptor
                os.close(descriptor)
        if self.group is None or not with_group:
            return
        for pid in self.group.pids() - set(self.known) - never:
            descriptor = processes.opened(pid)
            if descriptor is None:
                continue
            process = processes.read(pid)
            if pid in self.group.pids():  # so the pid was no other's by the time it was opened
                yield (pid, process.start if process else 0), descriptor
            os.close(descriptor)

    # What they cost

    def memory_bytes(self) -> int | None:
        """What they hold and nobody shares; None where that of one may not be read."""
        whole = 0
        for pid in self.pids():
            held = processes.unshared_bytes(pid)
            if held is not None:
                whole += held
            elif (process := processes.read(pid)) is not None and process.lives:
                return None
        return whole

    def cpu_seconds(self) -> float:
        """Their CPU time so far. Without a control group: of those that live, and those that they waited for."""
        in_group = self.group.cpu_seconds() if self.group else None
        pids = set(self.known) if in_group is not None else self.pids()
        found = (process for pid in pids if (process := processes.read(pid)) is not None)
        ticks = sum(process.own_ticks + process.waited_for_ticks for process in found)
        self._cpu_seconds = max(self._cpu_seconds, (in_group or 0.0) + ticks / TICKS)
        return self._cpu_seconds

    # How one is found to have ended

    def _ended(self, pid: int) -> None:
        self._forget(pid)
        self._changed()

    def _forget(self, pid: int) -> None:
        known = self.known.pop(pid)
        self.past.add(pid)
        self.untouchable.pop((pid, known.start), None)
        self._told.discard((pid, known.start))
        if known.descriptor is not None:
            self._watcher.close(known.descriptor)

    def _populated(self) -> bool:
        if self._events is None:
            return False
        try:
            return b"populated 1" in os.pread(self._events, 4096, 0)  # which also arms the next event
        except OSError:  # the group was taken away
            return False


def _still(known: Known) -> bool:
    process = processes.read(known.pid)
    return process is not None and process.start == known.start and process.lives


def now_in_ticks() -> int:
    """The instant, as /proc tells the start of a process."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)


class Look:
    """Finds what belongs to which bot, in one pass over /proc for all of them."""

    def __init__(self) -> None:
        self._marks = dict[Identity, str | None]()

    def take(self, everyone: Iterable[Members]) -> None:
        """Add what is new to each."""
        table = processes.everything()
        never = processes.own_line(table)
        marks = {members.mark: members for members in everyone}
        owners = dict[int, set[Members]]()
        in_group = dict[Members, set[int]]()
        for members in marks.values():
            in_group[members] = members.group.pids() - never if members.group else set()
            for pid in in_group[members] | set(members.known):
                owners.setdefault(pid, set()).add(members)
            members.past = {pid for pid in members.past if pid not in table}
        sessions = dict[int, set[Members]]()
        for members in marks.values():
            for pid in members.past | set(members.known) | in_group[members]:
                sessions.setdefault(pid, set()).add(members)
        self._marks = {
            identity: mark for identity, mark in self._marks.items()
            if (process := table.get(identity[0])) is not None and process.start == identity[1]
        }  # fmt: skip
        used_sessions = set[int]()
        for process in sorted(table.values(), key=lambda process: process.start):
            if process.pid in never or not process.lives:
                continue
            found = self._owners_of(process, owners, sessions, marks)
            if not found:
                continue
            owners.setdefault(process.pid, set()).update(found)
            used_sessions.add(process.session)
            for members in found:
                if process.pid not in members.known and process.pid not in in_group[members]:
                    members.add(process.pid, process.start)
        for members in marks.values():
            members.past &= used_sessions

    def _owners_of(
        self,
        process: Process,
        owners: dict[int, set[Members]],
        sessions: dict[int, set[Members]],
        marks: dict[str, Members],
    ) -> set[Members]:
        """The bots that it belongs to: more than one where a bot starts another."""
        found = owners.get(process.parent, set()) | sessions.get(process.session, set())
        identity = (process.pid, process.start)
        if identity not in self._marks:
            self._marks[identity] = processes.mark(process.pid)
        if (marked := marks.get(self._marks[identity] or "")) is not None:
            found = found | {marked}
        return {members for members in found if process.start >= members.since}
