"""Drills of the count: few bots, one too many, one that falls silent. Sentences are the guide's, word for word."""

import time
from collections.abc import Iterator

from limiter.drills.report import Step, counted
from limiter.drills.scratch import Scratch

FEW = 10
AT_ONCE_TOO_MANY = 20
SILENT_LEASE_SECONDS = 5  # the shortest that a limiter takes
SLACK_SECONDS = 2.0


def ten(box: Scratch) -> Iterator[Step]:
    """Ten bots start, are counted, beat and stop."""
    answers = box.starts(FEW, "ten")
    yield Step(
        box.text(fr="10 démarrages", en="10 starts"), f"{FEW} × 201", counted(one.status_code for one in answers)
    )
    held = [one.json()["session"] for one in answers]
    yield Step(box.text(fr="bots comptés", en="bots counted"), str(FEW), box.bots())
    listed = box.ask("GET", "/api/admin/sessions?status=active&limit=500")["items"]
    yield Step(box.text(fr="sessions listées", en="sessions listed"), str(FEW), str(len(listed)))
    beats = box.each(box.beat, held)
    yield Step(
        box.text(fr="10 battements", en="10 heartbeats"), f"{FEW} × 200", counted(one.status_code for one in beats)
    )
    ends = box.each(box.stop, held)
    yield Step(box.text(fr="10 arrêts", en="10 stops"), f"{FEW} × 200", counted(one.status_code for one in ends))
    yield _left(box)


def full(box: Scratch) -> Iterator[Step]:
    """MAX + 1 starts: the last is refused in the exact sentence, and nobody more gets in."""
    most = box.limit
    answers = box.starts(most, "full")
    yield Step(
        box.text(fr=f"démarrages : {most}", en=f"starts: {most}"),
        f"{most} × 201",
        counted(one.status_code for one in answers),
    )
    one_more = box.start("drill-one-more")
    sentence = box.text(
        fr=f"Serveur complet ({most}/{most} bots actifs). Réessaie dans quelques minutes.",
        en=f"Server full ({most}/{most} active bots). Try again in a few minutes.",
    )
    told = one_more.json().get("error", "")
    yield Step("MAX + 1", f"503 {sentence}", f"{one_more.status_code} {told}".strip())
    seconds = one_more.headers.get("Retry-After", "")
    asked_back = seconds if seconds.isdecimal() and 30 <= int(seconds) <= 600 else "30 – 600"
    yield Step("Retry-After", asked_back, seconds)
    more = box.starts(AT_ONCE_TOO_MANY, "more")
    yield Step(
        box.text(fr="20 de plus à la fois", en="20 more at once"),
        f"{AT_ONCE_TOO_MANY} × 503",
        counted(one.status_code for one in more),
    )
    seen = box.capacity()
    yield Step(
        box.text(fr="capacité", en="capacity"),
        f"{most}/{most} FULL",
        f"{seen['current_bots']}/{seen['max_bots']} {seen['status']}",
    )
    held = [one.json()["session"] for one in answers]
    box.stop(held.pop())
    again = [box.start("drill-again").status_code, box.start("drill-and-again").status_code]
    yield Step(
        box.text(fr="une place rendue, deux demandes", en="one slot given back, two starts"),
        counted([201, 503]),
        counted(again),
    )
    box.prepare()
    yield _left(box)


def silent(box: Scratch) -> Iterator[Step]:
    """A bot crashes without a word: its slot comes back when its lease ends, and the bot beside it keeps its own."""
    box.change(BOT_LEASE_SECONDS=SILENT_LEASE_SECONDS)
    gone, alive = (box.start(f"drill-{name}").json()["session"] for name in ("gone", "alive"))
    began, beats = time.monotonic(), list[int]()

    def watch(seconds: float) -> str:
        """The count after that time, or as soon as it is another one than before; the bot that lives goes on."""
        before, now = box.bots(), ""
        while (now := box.bots()) == before and time.monotonic() < began + seconds:
            beats.append(box.beat(alive).status_code)
            time.sleep(0.2)
        return now

    lease = SILENT_LEASE_SECONDS
    yield Step(box.text(fr=f"bots après {lease - 1} s", en=f"bots after {lease - 1} s"), "2", watch(lease - 1))
    seen = watch(lease + SLACK_SECONDS)
    took = box.seconds(time.monotonic() - began)
    yield Step(box.text(fr=f"bail de {lease} s écoulé ({took})", en=f"lease of {lease} s over ({took})"), "1", seen)
    yield Step(
        box.text(fr="le bot muet revient", en="the silent bot comes back"),
        "410 lease_expired",
        " ".join(str(part) for part in _end(box, gone)),
    )
    beats.append(box.beat(alive).status_code)
    yield Step(
        box.text(fr="le bot vivant bat toujours", en="the living bot beats on"),
        "200",
        ", ".join(sorted({str(beat) for beat in beats})),
    )
    box.stop(alive)
    yield _left(box)


def _end(box: Scratch, session: dict[str, str]) -> tuple[int, str]:
    """What a bot whose lease ran out hears."""
    answer = box.beat(session)
    return answer.status_code, answer.json().get("ended_reason", "")


def _left(box: Scratch) -> Step:
    return Step(box.text(fr="bots restants", en="bots left"), "0", box.bots())
