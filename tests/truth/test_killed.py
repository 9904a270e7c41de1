"""A limiter of its own process, ended by SIGTERM and by SIGKILL among its work: what it says afterwards is what its
caller wrote down, each instant within the time that the caller waited for the answer."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.conftest import Limiter, granted, instant, wait_until
from tests.webhook import Webhook

LIMITS = {"MAX_CONCURRENT_BOTS": 5, "MAX_TOKENS_PER_MINUTE": 40, "MAX_TRADES_PER_DAY": 4, "LIMITER_LANG": "en"}


@dataclass
class Log:
    """What was asked and answered: (sent, answered, what was told), in seconds of this machine's clock."""

    starts: dict[str, tuple[float, float, Any]] = field(default_factory=dict)
    ends: dict[str, tuple[float, float]] = field(default_factory=dict)
    refusals: dict[str, tuple[float, float, str]] = field(default_factory=dict)
    trades: int = 0
    tokens: int = 0
    signals: int = 0

    def held(self, at: float) -> set[str]:
        """Who held a slot at an instant at which nothing was asked."""
        begun = {name for name, (_, answered, _) in self.starts.items() if answered < at}
        return begun - {name for name, (_, answered) in self.ends.items() if answered < at}


def within(told: str, sent: float, answered: float) -> bool:
    """Whether the instant lies in that time, to the millisecond."""
    return sent - 0.001 <= instant(told).timestamp() <= answered + 0.001


def work(one: Limiter, log: Log, part: int) -> None:
    """Some seconds' worth of everything, more than there is room for."""

    def ask(what: Callable[[], httpx.Response]) -> tuple[httpx.Response, float, float]:
        sent = time.time()
        answer = what()
        answered = time.time()
        if answer.is_error:
            told = answer.json()
            log.refusals[told["request_id"]] = sent, answered, told["reason"]
        return answer, sent, answered

    kept = []
    for n in range(4):
        answer, sent, answered = ask(lambda n=n: one.start(f"u{part}-{n}", "b1"))  # type: ignore[misc]
        if answer.is_success:
            session = answer.json()["session"]
            log.starts[session["public_id"]] = sent, answered, session
            kept.append(session)
    for session in kept[:1]:
        for _ in range(2):
            answer, _, _ = ask(lambda s=session: one.trade(s))  # type: ignore[misc]
            log.trades += answer.is_success
        answer, _, _ = ask(lambda s=session: one.signal(s, 3))  # type: ignore[misc]
        log.signals += 3 * answer.is_success
    answer, _, _ = ask(lambda: one.tokens(15))
    log.tokens += 15 * answer.is_success
    if part == 1:  # one gives its slot back
        sent = time.time()
        granted(one.end(kept[0]))
        log.ends[kept[0]["public_id"]] = sent, time.time()


def test_what_is_said_after_a_restart_and_a_kill_is_what_happened(limiter: Callable[..., Limiter]) -> None:
    log, quiet = Log(), list[float]()
    with Webhook() as webhook:
        one = limiter(**LIMITS, LIMITER_ALERT_URLS=webhook.address("/told"))
        for part, kill in enumerate((False, True, True)):
            work(one, log, part)
            time.sleep(0.4)
            quiet.append(time.time())
            time.sleep(0.4)  # a refusal is durable half a second after it was told: more was never promised
            one.restart(kill=kill)
        wait_until(
            lambda: sum(row["starts"] for row in rows(one)) == len(log.starts), 15, "booked with the next sample"
        )
        compare(one, log, quiet)
        wait_until(lambda: len(webhook.posts("/told")) >= 3, 15)
        told = Counter(webhook.titles("/told"))
        crossed = [row for row in one.admin("GET", "/api/admin/alerts").json()["items"] if row["kind"] == "capacity"]
    levels = Counter(crossing["level"] for row in crossed for crossing in row["crossings"])
    assert levels == {"threshold": 1, "full": 2}, "the fourth start, the fifth, and the fifth again"
    assert told["⚠️ Capacity at 80%!"] >= 1 and told["❌ SERVER FULL!"] >= 2, "one that is killed may tell again"


def rows(one: Limiter) -> list[Any]:
    """History of the last hour by the minute."""
    found: list[Any] = granted(one.client.get("/api/admin/history"))["buckets"]
    return found


def compare(one: Limiter, log: Log, quiet: list[float]) -> None:
    """Each figure beside the log's."""
    listed = {row["public_id"]: row for row in one.listed(limit=500)}
    assert listed.keys() == log.starts.keys()
    for name, (sent, answered, told) in log.starts.items():
        row = listed[name]
        assert row["started_at"] == told["started_at"] and within(row["started_at"], sent, answered)
        assert (row["ended_at"] is not None) == (name in log.ends), row
        if name in log.ends:
            assert row["ended_reason"] == "stopped" and within(row["ended_at"], *log.ends[name])
    held = log.held(time.time())
    assert one.capacity()["current_bots"] == len(held) == 5
    refused = {row["request_id"]: row for row in one.admin("GET", "/api/admin/refusals?limit=500").json()["items"]}
    assert refused.keys() == log.refusals.keys()
    for name, (sent, answered, reason) in log.refusals.items():
        assert refused[name]["reason"] == reason and within(refused[name]["at"], sent, answered)
    reasons = Counter(reason for _, _, reason in log.refusals.values())
    stats = one.stats()
    assert stats["rates"] == {
        "tokens_last_minute": log.tokens,
        "signals_last_minute": log.signals,
        "starts_last_hour": len(log.starts),
        "refusals_last_hour": dict(reasons),
        "trades_today": log.trades,
    }
    history = rows(one)
    for name, total in {"starts": len(log.starts), "tokens": log.tokens, "signals": log.signals}.items():
        assert sum(row[name] for row in history) == total, name
    assert sum((Counter(row["refusals"]) for row in history), Counter()) == reasons
    assert max(row["bots"]["max"] for row in history) == 5
    for at in quiet:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z"
        then = granted(one.client.get("/api/admin/state", params={"at": text}))
        assert {row["public_id"] for row in then["sessions"]} == log.held(at)
    assert one.run("check").returncode == 0
