"""Which process of which machine: a name that a bot tells the limiter, and that is read again from outside.

Standard library alone: it lies on the path of whatever starts a bot.
"""

import re
from pathlib import Path

PROC = Path("/proc")
INNERMOST = re.compile(r"^NSpid:.*?(\d+)$", re.MULTILINE)


def identity(pid: int | str = "self") -> str | None:
    """`pid.start.boot`: the pid as the process itself sees it (in a container too), the tick of the boot at which it
    started, and the boot of the kernel; so no other process has had it, and a later program of the same pid has not.

    At most 63 characters, the same from inside and outside of a container. None where the kernel does not say (Linux
    alone does), the process is gone, or it is hidden from us.
    """
    try:
        status = (PROC / str(pid) / "status").read_text(errors="replace")
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    inside = INNERMOST.search(status)
    after_name = stat.rpartition(")")[2].split()  # the name is free text: it may hold spaces and parentheses
    return f"{inside[1]}.{after_name[19]}.{boot}" if inside else None


def hidden() -> bool:
    """Whether processes of other users are kept from us (hidepid, systemd's ProtectProc)."""
    return PROC.joinpath("self").exists() and not PROC.joinpath("1", "stat").exists()
