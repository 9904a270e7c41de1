"""Which process a slot may be for: a living one, and where it runs already, one that is nobody's yet."""

import os
from collections.abc import Set

from limiter.agent import processes
from limiter.agent.processes import Process
from limiter.agent.words import WRONG_COMMAND_LINE, Unable, text


def living(pid: int, language: str) -> Process:
    """Raises Unable where there is none of that pid, or it has ended."""
    process = processes.read(pid)
    if process is None or not process.lives:
        told = text(fr=f"Aucun processus {pid}.", en=f"There is no process {pid}.", language=language)
        raise Unable(WRONG_COMMAND_LINE, told)
    return process


def refuse_what_is_no_bot(process: Process, held: Set[int], language: str) -> None:
    """Raises Unable where that process cannot be a bot, or is one already: `held` are the processes of bots."""
    pid = process.pid
    if pid == 1:
        told = text(
            fr="Le processus 1 est le premier de sa machine ou de son conteneur : il ne pourrait pas être arrêté.",
            en="Process 1 is the first of its machine or container: it could not be ended.",
            language=language,
        )
    elif pid in held:
        told = text(
            fr=f"Le processus {pid} a déjà une place.",
            en=f"Process {pid} has a slot already.",
            language=language,
        )
    elif os.getpid() in tree(pid):  # our guardian, ourselves
        told = text(
            fr=f"Du processus {pid} descend l'agent lui-même : ce n'est pas un bot.",
            en=f"The agent itself descends from process {pid}: it is no bot.",
            language=language,
        )
    elif not _may_be_signalled(process):
        told = text(
            fr=f"Le processus {pid} est à quelqu'un d'autre : il ne pourrait pas être arrêté.",
            en=f"Process {pid} is somebody else's: it could not be ended.",
            language=language,
        )
    else:
        return
    raise Unable(WRONG_COMMAND_LINE, told)


def tree(pid: int) -> list[int]:
    """The process and all that descends from it now."""
    table, found = processes.everything(), [pid]
    for parent in found:
        found += [process.pid for process in table.values() if process.parent == parent]
    return found


def _may_be_signalled(process: Process) -> bool:
    descriptor = processes.opened(process.pid, process.start)
    if descriptor is None:
        return False
    try:
        return processes.send(descriptor, 0)
    finally:
        os.close(descriptor)
