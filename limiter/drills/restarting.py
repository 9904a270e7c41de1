"""The drill of the crash: the process is killed right behind an answer, and what was answered is there again."""

from collections.abc import Iterator

from limiter.drills.report import Step, counted
from limiter.drills.scratch import Scratch

BOTS = 10
TRADE = {"symbol": "BTC/USDT", "side": "buy", "quantity": "1", "price": "100"}
TRADES = 3


def restart(box: Scratch) -> Iterator[Step]:
    """SIGKILL, and a start on the same file."""
    held = [one.json()["session"] for one in box.starts(BOTS, "restart")]
    stopped, trader = held[0], held[1]
    box.stop(stopped)
    for _ in range(TRADES):
        box.call("POST", "/api/bots/trades", {"session_id": trader["session_id"]} | TRADE)
    version = box.change(MAX_TRADES_PER_DAY=1_000, MAX_SIGNALS_PER_MINUTE=100)
    last = box.start("drill-last")
    box.kill()
    yield Step(
        box.text(fr="dernier démarrage avant kill -9", en="last start before kill -9"), "201", str(last.status_code)
    )
    took = box.seconds(box.serve())
    yield Step(
        box.text(fr=f"bots après redémarrage ({took})", en=f"bots after the restart ({took})"),
        str(BOTS),
        box.bots(),
    )
    beats = box.each(box.beat, [*held[1:], last.json()["session"]])
    yield Step(
        box.text(fr="leurs battements", en="their heartbeats"),
        f"{BOTS} × 200",
        counted(one.status_code for one in beats),
    )
    yield Step(
        box.text(fr="le bot arrêté le reste", en="the stopped bot stays so"), "410", str(box.beat(stopped).status_code)
    )
    used = box.ask("GET", f"/api/users/{trader['user_id']}/usage")["trades"]["used"]
    yield Step(box.text(fr="trades du jour", en="trades of the day"), str(TRADES), str(used))
    limits = box.ask("GET", "/api/admin/limits")["version"]
    yield Step(box.text(fr="version des limites", en="version of the limits"), str(version), str(limits))
    box.prepare()
    yield Step(box.text(fr="bots restants", en="bots left"), "0", box.bots())
