"""A control group of its own for a bot: the kernel then knows each of its processes, whatever they do.

It is made below the group that the process is in, so that systemd, a container or a supervisor still finds it where it
put it. It needs cgroup v2 (also beside v1, as `hybrid`) and the right to make one: root, or systemd's `Delegate=`.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

PREFIX = "limiter-bot-"


def mounted() -> tuple[str, str] | None:
    """Where cgroup v2 is mounted, and which group is its root there; None where it is not."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                if after.startswith("cgroup2 "):
                    root, point = before.split(" ")[3:5]
                    return point.replace("\\040", " "), root.replace("\\040", " ")
    except OSError:
        pass
    return None


def folder_of(pid: int | str) -> str | None:
    """The folder of the group that a process is in; None where it cannot be seen from here."""
    place = mounted()
    if place is None:
        return None
    point, root = place
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            path = next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), None)
    except OSError:
        return None
    if path is None or path.startswith("/.."):
        return None
    if root != "/":  # a container sees its own part of the tree
        if path != root and not path.startswith(root + "/"):
            return None
        path = path[len(root) :]
    return point + path.rstrip("/")


def made_for(pids: list[int], name: str) -> "Cgroup | None":
    """A new group with these processes in it, below that of the first; None where none may be made."""
    parent = folder_of(pids[0])
    if parent is None:
        return None
    group = Cgroup(f"{parent}/{PREFIX}{name}")
    sweep(parent)
    try:
        os.mkdir(group.folder)
    except FileExistsError:
        pass
    except OSError:
        return None
    try:
        for pid in pids:
            group.add(pid)
        group.populated()
    except OSError:
        group.remove()
        return None
    return group


_swept = set[str]()


def sweep(parent: str) -> None:
    """Take away, once for each agent, the empty groups of one that was killed between making and noting them."""
    if parent in _swept:
        return
    _swept.add(parent)
    with suppress(OSError):
        for name in os.listdir(parent):
            if name.startswith(PREFIX):
                with suppress(OSError):  # where a bot is in it
                    os.rmdir(f"{parent}/{name}")


class Cgroup:
    """One bot's group, with all that is made below it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def exists(self) -> bool:
        return os.path.isdir(self.folder)

    def add(self, pid: int) -> None:
        """Put a process in. Raises OSError where it may not be, or has ended."""
        with open(f"{self.folder}/cgroup.procs", "w") as file:
            file.write(str(pid))

    def events(self) -> int:
        """A descriptor that is ready for POLLPRI when the first process comes in or the last one ends."""
        return os.open(f"{self.folder}/cgroup.events", os.O_RDONLY)

    def populated(self) -> bool:
        """Whether any process in it lives. Raises OSError where the group is gone."""
        with open(f"{self.folder}/cgroup.events") as file:
            return "populated 1" in file.read()

    def pids(self) -> set[int]:
        """Its living processes, zombies too; 0 among them: one that cannot be seen from here."""
        found = set[int]()
        for folder in self._folders():
            try:
                with open(f"{folder}/cgroup.procs") as file:
                    found.update(map(int, file.read().split()))
            except OSError:  # gone meanwhile, or threaded
                pass
        return found

    def cpu_seconds(self) -> float | None:
        """The CPU time of all that ever was in it."""
        try:
            with open(f"{self.folder}/cpu.stat") as file:
                return next(int(line.split()[1]) / 1e6 for line in file if line.startswith("usage_usec"))
        except (OSError, StopIteration):
            return None

    def kill(self) -> bool:
        """SIGKILL to all at once, also to those being forked; False where the kernel is older than 5.14."""
        try:
            with open(f"{self.folder}/cgroup.kill", "w") as file:
                file.write("1")
        except OSError:
            return False
        return True

    def remove(self) -> bool:
        """Take it away where nothing is in it any more; False where something is."""
        for folder in reversed(list(self._folders())):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                return False
        return True

    def _folders(self) -> Iterator[str]:
        """It and those below it, each before what is in it."""
        yield from (folder for folder, _, _ in os.walk(self.folder))


def leave() -> None:
    """Move this process as far up as it may go: it shall not end with the service or session of the first bot."""
    own, place = folder_of("self"), mounted()
    if own is None or place is None:
        return
    above = [own]
    while len(above[-1]) > len(place[0]):
        above.append(os.path.dirname(above[-1]))
    for folder in reversed(above[1:]):
        group = Cgroup(f"{folder}/limiter-agent-{os.geteuid()}")
        try:
            if not group.exists():
                os.mkdir(group.folder)
            group.add(os.getpid())
        except OSError:
            continue
        return
