"""What /proc tells of processes. Identity is a pid with its start: pids are used again, a pair within a boot is not."""

import os
import signal
from collections.abc import Mapping
from typing import NamedTuple

from limiter.processes import unshared_bytes as unshared

TICKS = os.sysconf("SC_CLK_TCK")
DEAD = frozenset("ZXx")


class Process(NamedTuple):
    """One line of /proc/PID/stat, as far as it is needed. Times in clock ticks, `start` since the boot."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    own_ticks: int
    waited_for_ticks: int
    threads: int
    start: int

    @property
    def lives(self) -> bool:
        """Whether any of its threads does; one that ended waits here for its parent to ask."""
        return self.state not in DEAD or (self.state == "Z" and self.threads > 1)


def read(pid: int) -> Process | None:
    """The process of that pid; None where there is none, or it is hidden."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        line = os.read(descriptor, 4096)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    before, _, after = line.rpartition(b")")
    parts = after.split()
    if len(parts) < 20:
        return None
    name = before.partition(b"(")[2].decode("utf-8", "replace")
    parent, group, session = int(parts[1]), int(parts[2]), int(parts[3])
    own, waited_for = int(parts[11]) + int(parts[12]), int(parts[13]) + int(parts[14])
    return Process(pid, name, chr(parts[0][0]), parent, group, session, own, waited_for, int(parts[17]), int(parts[19]))


def everything() -> dict[int, Process]:
    """Every process that can be seen, by pid."""
    found = (read(int(name)) for name in os.listdir("/proc") if name.isdecimal())
    return {process.pid: process for process in found if process is not None}


def own_line(table: Mapping[int, Process] | None = None) -> set[int]:
    """This process and all that it descends from, with 0 and 1: never part of a bot, whatever else speaks for it.

    In a container a process whose parent, group or leader is outside has 0 for it, and so have the kernel's threads.
    """
    found, pid = {0, 1}, os.getpid()
    while pid not in found:
        found.add(pid)
        process = table.get(pid) if table is not None else read(pid)
        pid = process.parent if process is not None else 0
    return found


def mark(pid: int, name: bytes = b"LIMITER_SESSION_ID") -> str | None:
    """The session that the process was started with, from its environment; None where there is none or it is hidden."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return None
    for variable in environment.split(b"\0"):
        if variable.startswith(name + b"="):
            return variable[len(name) + 1 :].decode("utf-8", "replace")
    return None


def unshared_bytes(pid: int) -> int | None:
    """What it holds and shares with nobody; None where that is hidden."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return unshared(file.read())
    except OSError:
        return None


def opened(pid: int, start: int | None = None) -> int | None:
    """A pidfd on it; None where it has ended, or the pid is another's by now (`start` tells them apart)."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    if start is not None:
        process = read(pid)
        if process is not None and process.start != start:
            os.close(descriptor)
            return None
    return descriptor


def send(descriptor: int, number: int) -> bool:
    """Send a signal through a pidfd; False where this user may not. One that has ended is no fault."""
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        return False
    return True


def boot() -> str:
    """Which boot of the machine this is."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""
