"""Which process of which machine: a name that a bot tells the limiter, and that is read again from outside.

Standard library alone, and little of it: it lies on the path of whatever starts a bot.
"""

import os

MEASURED_AFTER_SECONDS, MEASURED_EVERY_SECONDS = 60.0, 15.0  # what a bot costs: not while it comes up


def identity(pid: int | str = "self") -> str | None:
    """`pid.start.boot`: the pid as the process itself sees it (in a container too), the tick of the boot at which it
    started, and the boot of the kernel; so no other process has had it, and a later program of the same pid has not.

    At most 63 characters, the same from inside and outside of a container. None where the kernel does not say (Linux
    alone does), the process is gone, or it is hidden from us.
    """
    try:
        pids = line(pid, "NSpid:")
        boot = text("sys/kernel/random/boot_id").strip()
        after_name = text(f"{pid}/stat").rpartition(")")[2].split()  # the name may hold spaces and parentheses
    except OSError:
        return None
    return f"{pids.split()[-1]}.{after_name[19]}.{boot}" if pids else None


def host() -> str:
    """This machine's name as an identifier of the API; a character that none has is a hyphen there."""
    name = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "-" for one in os.uname().nodename)
    return name.lstrip("._-")[:64] or "localhost"


def unshared_bytes(rollup: bytes) -> int | None:
    """What a process holds in memory or swap and shares with nobody, from the text of its `smaps_rollup`: its part of
    anonymous pages. None where the text does not say.

    RSS would count a page once for each process that shares it: up to 17 times too much for forked workers.
    """
    found = dict[bytes, int]()
    for row in rollup.splitlines()[1:]:
        name, _, size = row.partition(b":")
        found[name] = int(size.split()[0]) * 1024
    held = found.get(b"Pss_Anon", found.get(b"Private_Dirty"))  # the first is new in Linux 5.4
    return None if held is None else held + found.get(b"SwapPss", 0)


def line(pid: int | str, name: str) -> str:
    """The rest of the line of `/proc/PID/status` that begins with the name; empty where there is none."""
    found = (row for row in text(f"{pid}/status").splitlines() if row.startswith(name))
    return next(found, "").removeprefix(name).strip()


def text(path: str) -> str:
    """A file below /proc. Raises OSError."""
    with open(f"/proc/{path}", encoding="utf-8", errors="replace") as file:
        return file.read()


def hidden() -> bool:
    """Whether processes of other users are kept from us (hidepid, systemd's ProtectProc)."""
    return os.path.exists("/proc/self") and not os.path.exists("/proc/1/stat")
