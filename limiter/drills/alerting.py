"""The drill of the alert: the bot that reaches the threshold makes one message leave, and no bot before it does.

It goes to a channel on this machine. Whether your own channels work says `python -m limiter alerts test`.
"""

import time
from collections.abc import Iterator

from limiter.drills.report import Step
from limiter.drills.scratch import Scratch

ARRIVES_SECONDS = 10.0


def alert(box: Scratch) -> Iterator[Step]:
    """Fill to one below the threshold, then to it."""
    limits = {row["name"]: row["value"] for row in box.ask("GET", "/api/admin/limits")["limits"]}
    percent = limits["ALERT_THRESHOLD"]
    title = box.text(fr=f"⚠️ Capacité à {percent} % !", en=f"⚠️ Capacity at {percent}%!")
    at = -(-percent * box.limit // 100)
    end = time.monotonic() + ARRIVES_SECONDS
    while any(one["pending"] for one in box.ask("GET", "/api/admin/alerts")["channels"]) and time.monotonic() < end:
        time.sleep(0.02)  # what the drill before this one crossed is on its way still
    box.channel.came.clear()
    box.starts(at - 1, "alert")
    yield Step(box.text(fr="bots sous le seuil", en="bots below the threshold"), str(at - 1), box.bots())
    began = time.monotonic()
    box.start("drill-threshold")
    told = box.channel.wait_for(title, ARRIVES_SECONDS)
    took = box.seconds(time.monotonic() - began)
    yield Step(
        box.text(fr=f"reçu en {took}", en=f"received in {took}"),
        title,
        told[0][0] if told else box.text(fr="rien", en="nothing"),
    )
    bots = f"{at}/{box.limit}"
    body = told[0][1]
    yield Step(box.text(fr="bots dans le message", en="bots in the message"), bots, bots if bots in body else body)
    box.prepare()
    box.starts(at - 1, "again")
    yield Step(
        box.text(fr="messages de ce franchissement", en="messages of that crossing"),
        "1",
        str(len(box.channel.wait_for(title, 0))),
    )
    box.prepare()
    yield Step(box.text(fr="bots restants", en="bots left"), "0", box.bots())
