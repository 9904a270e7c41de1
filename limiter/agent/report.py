"""What `agent --status` tells, as JSON by the agent and as a table for a person."""

import os
import time
from typing import TYPE_CHECKING, Any

from limiter.agent import processes
from limiter.agent.words import text

if TYPE_CHECKING:
    from limiter.agent.bot import Bot
    from limiter.agent.roster import Roster

Report = dict[str, Any]


def report(roster: "Roster", guardian: int, socket: str, began: float, leaving: bool) -> Report:
    """The agent (began: Unix seconds), its limiters and its bots. Seconds, bytes; null where not known."""
    now = time.time()
    lines = roster.lines.values()
    return {
        "pid": os.getpid(),
        "guardian": guardian,
        "socket": socket,
        "since_seconds": now - began,
        "memory_bytes": processes.unshared_bytes(os.getpid()),
        "waiting": roster.pacing.waiting,
        "leaving": leaving,
        "limiters": [
            {"url": line.channel.url, "reached": line.reached, "trouble": line.trouble, "bots": len(line.bots)}
            for line in lines
        ],
        "bots": [_bot(bot, now) for bot in roster.bots.values()],
    }


def _bot(bot: "Bot", now: float) -> Report:
    entry = bot.entry
    if entry.gone:
        state = "without_slot"
    elif bot.released:
        state = "ended"
    else:
        state = "is_ended" if bot.ending else "held"
    return {
        "public_id": entry.public_id, "user_id": entry.user_id, "bot_id": entry.bot_id, "pid": entry.pid,
        "processes": len(bot.members.pids()), "age_seconds": now - entry.started_at,
        "memory_bytes": bot.memory_bytes, "cpu_seconds": bot.cpu_seconds,
        "beat_seconds_ago": None if bot.beaten_at is None else now - bot.beaten_at,
        "known_by": "group" if bot.members.group else "tree", "state": state, "why": entry.gone or None,
        "on_lost": entry.on_lost, "untouchable": sorted(set(bot.members.untouchable.values())), "notice": entry.notice,
        "url": entry.url,
    }  # fmt: skip


def shown(told: Report) -> str:
    """The report for a person."""
    agent = text(
        fr="Agent {pid} (gardien {guardian}), depuis {since}, {memory} ; socket {socket}",
        en="Agent {pid} (guardian {guardian}), for {since}, {memory}; socket {socket}",
    ).format(**told, since=_duration(told["since_seconds"]), memory=_size(told["memory_bytes"]))
    lines = [agent]
    for limiter in told["limiters"]:
        reached = {
            True: text(fr="répond", en="answers"),
            False: text(fr="ne répond pas", en="does not answer"),
            None: text(fr="pas encore appelé", en="not asked yet"),
        }[limiter["reached"]]
        trouble = f" ({limiter['trouble']})" if limiter["trouble"] else ""
        lines.append(
            text(fr=f"Limiteur {limiter['url']} : {reached}", en=f"Limiter {limiter['url']}: {reached}") + trouble
        )
    if told["waiting"]:
        lines.append(
            text(fr="Départs espacés, en attente : {n}", en="Starts are paced, waiting: {n}").format(n=told["waiting"])
        )
    if not told["bots"]:
        return "\n".join([*lines, text(fr="Aucun bot.", en="No bots.")])
    heads = text(
        fr="SESSION,UTILISATEUR,BOT,PID,PROCESSUS,ÂGE,MÉMOIRE,CPU,BATTEMENT,CONNU PAR,ÉTAT",
        en="SESSION,USER,BOT,PID,PROCESSES,AGE,MEMORY,CPU,LAST BEAT,KNOWN BY,STATE",
    ).split(",")
    rows = [heads, *(_row(bot) for bot in sorted(told["bots"], key=lambda bot: -bot["age_seconds"]))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines += ["", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)]
    return "\n".join(lines)


def _row(bot: Report) -> list[str]:
    known_by = {
        "group": text(fr="son groupe (cgroup)", en="its cgroup"),
        "tree": text(fr="marque et arbre", en="mark and tree"),
    }[bot["known_by"]]
    state = {
        "held": text(fr="place tenue", en="holds its slot"),
        "ended": text(fr="fini, place à rendre", en="ended, slot to give back"),
        "is_ended": text(fr="place perdue, arrêt en cours", en="slot lost, being ended"),
        "without_slot": text(fr="SANS PLACE", en="WITHOUT A SLOT"),
    }[bot["state"]]
    if bot["notice"]:
        state += text(fr=f", fin annoncée : {bot['notice']['at']}", en=f", end announced: {bot['notice']['at']}")
    if bot["why"]:
        state += f" ({bot['why']})"
    if bot["untouchable"]:
        names = ", ".join(bot["untouchable"])
        state += text(fr=f" ; ne peut pas être arrêté : {names}", en=f"; may not be signalled: {names}")
    ago = bot["beat_seconds_ago"]
    return [
        bot["public_id"], bot["user_id"], bot["bot_id"], str(bot["pid"]), str(bot["processes"]),
        _duration(bot["age_seconds"]), _size(bot["memory_bytes"]),
        _cpu(bot["cpu_seconds"]),
        "-" if ago is None else f"{ago:.0f} s", known_by, state,
    ]  # fmt: skip


def _cpu(seconds: float | None) -> str:
    return "-" if seconds is None else text(fr=f"{seconds:.1f} s".replace(".", ","), en=f"{seconds:.1f} s")


def _size(of: int | None) -> str:
    return "-" if of is None else f"{of / 1024**2:.0f} {text(fr='Mo', en='MB')}"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {text(fr='j', en='d') if unit == 'd' else unit}"
    return f"{seconds:.0f} s"
