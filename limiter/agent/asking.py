"""A slot for a bot of the agent: asked of its limiter, and given back."""

import asyncio
import time

from limiter.agent.book import Entry
from limiter.agent.limiter_api import Answer, Refused
from limiter.agent.line import Line
from limiter.agent.message import Fields
from limiter.agent.processes import Process
from limiter.agent.words import waiting
from limiter.calling import GONE, delays, pause
from limiter.calling.start import SlotRequest
from limiter.processes import identity

UNWANTED = "unwanted"  # in a question: who asked it has left


async def taken(line: Line, question: Fields, pid: int) -> tuple[Answer, float]:
    """The answer to a start, and since when its lease may run. Raises Refused.

    Once nobody wants it any more (`undone`) it is asked again only where an earlier attempt may have taken the slot.
    """
    options = {"again": question["again"], "language": question.get("language", "")}
    clock, process = time.monotonic, {"process": known} if (known := identity(pid)) else {}
    request = SlotRequest(
        question["user"], question.get("bot"), process, wait_seconds=float(question["wait"]), now=clock()
    )
    while True:
        timeout = request.attempt(clock())
        try:
            answer = await line.call("/api/bots/start", request.body, timeout=timeout, **options)
            return answer, request.held_since(float(answer["session"]["lease_seconds"]))
        except Refused as refused:
            seconds = request.refused(refused.reason, refused.retry_after, refused.facts, clock())
            if seconds is None:
                raise
            last = refused
        if request.place:
            question["told"] = waiting(*request.place, options["language"] or None)
        await asyncio.sleep(seconds)
        if UNWANTED in question and not request.unsure:
            raise last


async def undone(line: Line, asking: "asyncio.Task[tuple[Answer, float]]", question: Fields) -> None:
    """What was on its way when nobody wanted it any more is given back."""
    question[UNWANTED] = "1"
    try:
        answer, asked_at = await asking
    except Refused:
        return
    session = answer["session"]
    await given_back(line, session["session_id"], asked_at + session["lease_seconds"])


async def given_back(line: Line, session_id: str, until: float) -> None:
    """Tell the limiter of the end; a stop that cannot be told ends with the lease."""
    for delay in delays():
        try:
            await line.call("/api/bots/stop", {"session_id": session_id})
            return
        except Refused as refused:
            left = until - time.monotonic()
            if refused.reason in GONE or left < 0:
                return
            seconds = pause(delay, refused.retry_after, left)
        await asyncio.sleep(seconds)


def entry_of(question: Fields, session: Answer, network: dict[str, str], process: Process, asked_at: float) -> Entry:
    """What the book keeps of the bot that the limiter admitted."""
    return Entry(
        again=question["again"], session_id=session["session_id"], public_id=session["public_id"],
        user_id=session["user_id"], bot_id=session["bot_id"], url=question["url"], key=question["key"],
        network=network, language=question.get("language", ""), lease_seconds=float(session["lease_seconds"]),
        heartbeat_seconds=float(session["heartbeat_seconds"]), pid=process.pid, start=process.start,
        command=question.get("command", ""), on_lost=question["on_lost"], asked_at=asked_at, started_at=time.time(),
        since=0, notice_signal=int(question.get("notice_signal", "0")),
    )  # fmt: skip
