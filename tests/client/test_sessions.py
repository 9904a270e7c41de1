"""Both sessions against a real limiter: the slot is held and given back, loss is seen in time, retries do no harm."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from limiter.client import AsyncBotSession, BotSession, Refused
from limiter.client.stay import Call
from tests.conftest import Limiter, granted, new_user, served, wait_until
from tests.forgetful import LOST, forgetful

Start = Callable[..., Limiter]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    """A limiter with the shortest lease: 5 s."""
    with served(Limiter(tmp_path_factory.mktemp("short"), {"BOT_LEASE_SECONDS": 5})) as one:
        yield one


def test_a_session_holds_its_slot_for_the_block_and_gives_it_back(server: Limiter) -> None:
    user = new_user()
    with BotSession(server.url, user_id=user, bot_id="b1") as bot:
        (row,) = server.listed(user_id=user, status="active")
        assert (row["public_id"], row["bot_id"]) == (bot.public_id, "b1")
        assert bot.limits["MAX_CONCURRENT_BOTS"] == 200
        assert bot.capacity["max_bots"] == 200
    (row,) = server.listed(user_id=user, status="ended")
    assert row["ended_reason"] == "stopped"
    assert bot.stop() is None  # once is enough, twice is harmless


def test_a_block_that_fails_gives_the_slot_back(server: Limiter) -> None:
    user = new_user()
    with pytest.raises(ZeroDivisionError), BotSession(server.url, user_id=user):
        raise ZeroDivisionError
    assert server.listed(user_id=user, status="active") == []


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("fr", "Limite atteinte : 1/1 bot actif pour cet utilisateur."),
        ("en", "Limit reached: 1/1 active bot for this user."),
    ],
)
def test_a_refused_start_raises_the_sentence_for_the_user(server: Limiter, language: str, sentence: str) -> None:
    user = new_user()
    with BotSession(server.url, user_id=user), pytest.raises(Refused) as caught:
        BotSession(server.url, user_id=user, bot_id="another", language=language).start()
    assert (str(caught.value), caught.value.reason, caught.value.status) == (sentence, "user_limit", 429)
    assert caught.value.extra["limit"] == 1
    assert caught.value.request_id


def test_trades_signals_and_tokens_are_reported(server: Limiter) -> None:
    with BotSession(server.url, user_id=new_user()) as bot:
        first = bot.trade(symbol="BTC/USDT", side="buy", quantity=Decimal("1E-7"), price=0.1, trade_id="t1")
        again = bot.trade(symbol="BTC/USDT", side="buy", quantity="0.0000001", price="0.10", trade_id="t1")
        assert (first["trades_today"], again["trades_today"]) == (1, 1)
        assert first["trade"]["quantity"] == "0.0000001"
        assert bot.trade(symbol="BTC/USDT", side="sell", quantity=1, price=2, closes=True)["trades_today"] == 2
        assert bot.signal(2)["limit"] == 100
        assert bot.tokens(3)["limit"] == 1000
        with pytest.raises(Refused) as caught:
            bot.trade(symbol="BTC/USDT", side="buy", quantity=2, price=2, trade_id="t1")
        assert caught.value.reason == "trade_conflict"


def test_a_beating_session_outlives_its_lease(short: Limiter) -> None:
    user = new_user()
    with BotSession(short.url, user_id=user) as bot:
        silent = short.session()
        wait_until(lambda: not _active(short, silent), 10, "the silent one is gone")
        assert not bot.lost.is_set()
        assert _active(short, bot.session)


def _active(limiter: Limiter, session: dict[str, Any]) -> bool:
    return session["public_id"] in [row["public_id"] for row in limiter.listed(status="active", limit=500)]


def test_an_ended_session_is_noticed_with_the_next_beat(short: Limiter) -> None:
    with BotSession(short.url, user_id=new_user(), language="en") as bot:
        short.admin("POST", f"/api/admin/sessions/{bot.public_id}/stop", {"reason": "test"})
        assert bot.lost.wait(5)
        assert bot.lost_because is not None
        assert (bot.lost_because.reason, bot.lost_because.status) == ("session_ended", 410)
        with pytest.raises(Refused, match="Session ended"):
            bot.signal()


def test_an_end_that_is_announced_is_told_to_both_twins(short: Limiter) -> None:
    async def twin() -> None:
        told: list[Any] = []
        async with AsyncBotSession(short.url, user_id=new_user(), on_notice=told.append) as bot:
            path = f"/api/admin/users/{bot.user_id}/stop"
            short.admin("POST", path, {"reason": "move", "in_seconds": 5})
            await asyncio.wait_for(bot.lost.wait(), 10)
        assert [notice["reason"] for notice in told] == ["move"] and bot.notice == told[0]

    threads: list[str] = []
    told = threading.Event()

    def heard(notice: Any) -> None:
        threads.append(threading.current_thread().name)
        told.set()

    with BotSession(short.url, user_id=new_user(), on_notice=heard) as bot:
        short.admin("POST", f"/api/admin/sessions/{bot.public_id}/stop", {"reason": "move", "in_seconds": 3600})
        assert told.wait(5)
        assert bot.notice is not None and bot.notice["kind"] == "stop" and not bot.lost.is_set()
    assert threads == ["limiter-heartbeat"]
    asyncio.run(twin())


def test_a_trade_that_hears_of_the_end_first_sets_lost(server: Limiter) -> None:
    def end(bot: BotSession | AsyncBotSession) -> None:
        server.admin("POST", f"/api/admin/sessions/{bot.public_id}/stop", {"reason": "test"})

    async def twin() -> None:
        async with AsyncBotSession(server.url, user_id=new_user()) as bot:
            end(bot)
            with pytest.raises(Refused):
                await bot.signal()
            assert bot.lost.is_set()
            await bot.lost.wait()

    with BotSession(server.url, user_id=new_user()) as bot:
        end(bot)
        with pytest.raises(Refused) as caught:
            bot.trade(symbol="BTC/USDT", side="buy", quantity=1, price=1)
        assert bot.lost.is_set()
        assert bot.lost_because is caught.value
    asyncio.run(twin())


def test_a_session_whose_loop_has_ended_without_a_stop_beats_no_more(short: Limiter) -> None:
    bot = AsyncBotSession(short.url, user_id=new_user())

    async def careless() -> None:
        await bot.start()
        bot.keep()
        await bot._async_http.aclose()  # the sockets alone, for the warning's sake

    asyncio.run(careless())
    wait_until(lambda: not _active(short, bot.session), 12, "its lease has ended")
    assert not bot._thread.is_alive()
    bot._close()


def test_beats_carry_on_what_the_process_costs(server: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    with BotSession(server.url, user_id=new_user()) as bot:
        flow = bot._beating()
        flow.send(None)
        monkeypatch.setattr(bot._cost, "_due_at", 0.0)  # as if a minute had passed
        call = flow.send(None)
        assert isinstance(call, Call)
        assert {"session_id", "process", "memory_bytes", "cpu_seconds"} == set(call.body)
        answer = server.post(call.path, dict(call.body))
        assert answer.status_code == 200


def test_a_bot_lets_go_before_its_lease_ends_where_the_limiter_is_out_of_reach(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS=5)
    asked_at = time.monotonic()
    with BotSession(one.url, user_id=new_user()) as bot:
        one.kill()
        assert bot.lost.wait(10)
        assert time.monotonic() - asked_at < 5 + 5 / 3  # a beat at most went out before the kill
        assert bot.lost_because is not None
        assert bot.lost_because.reason == "out_of_reach"


def test_a_restart_within_the_lease_loses_nobody(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS=30)

    def lease_end() -> str:
        (row,) = one.listed(status="active")
        return str(row["lease_expires_at"])

    with BotSession(one.url, user_id=new_user()) as bot:
        one.restart(kill=True)
        renewed_by_restart = lease_end()
        wait_until(lambda: bot.lost.is_set() or lease_end() > renewed_by_restart, 20, "a beat after the restart")
        assert not bot.lost.is_set()


@pytest.mark.parametrize("status", LOST)
def test_whose_answer_was_lost_takes_one_slot_trades_once_and_gives_the_slot_back(
    server: Limiter, status: int | None
) -> None:
    user, paths = new_user(), [f"/api/bots/{what}" for what in ("start", "trades", "stop")]
    with forgetful(server.url, *paths, status=status) as proxy:
        with BotSession(proxy.url, user_id=user) as bot:
            assert bot.trade(symbol="BTC/USDT", side="buy", quantity=1, price=1)["trades_today"] == 1
        assert [proxy.heard.count(path) for path in paths] == [2, 2, 2]
    (row,) = server.listed(user_id=user)
    assert (row["public_id"], row["ended_reason"]) == (bot.public_id, "stopped")


@pytest.mark.parametrize("status", LOST)
def test_a_signal_or_token_whose_answer_was_lost_is_not_counted_again(server: Limiter, status: int | None) -> None:
    user, paths = new_user(), ["/api/bots/signals", "/api/feed/tokens"]
    with forgetful(server.url, *paths, status=status) as proxy, BotSession(proxy.url, user_id=user) as bot:
        for take in (bot.signal, bot.tokens):
            with pytest.raises(Refused) as caught:
                take(2)
            assert (caught.value.reason, caught.value.status) == ("out_of_reach", status or 0)
        assert [proxy.heard.count(path) for path in paths] == [1, 1]
        assert granted(server.client.get(f"/api/users/{user}/usage"))["signals"]["used"] == 2
        bot.signal(3)
        assert granted(server.client.get(f"/api/users/{user}/usage"))["signals"]["used"] == 5


def test_who_waits_gets_the_slot_that_becomes_free(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=1)
    holder = one.session()
    threading.Timer(0.5, lambda: one.end(holder)).start()
    with BotSession(one.url, user_id=new_user(), wait_seconds=2) as bot:
        assert bot.public_id


def test_who_waits_in_vain_is_refused_when_the_time_is_over(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=0)
    began = time.monotonic()
    with pytest.raises(Refused, match="0/0"):
        BotSession(one.url, user_id=new_user(), wait_seconds=1).start()
    assert 0.9 < time.monotonic() - began < 5


def test_who_waits_is_let_in_before_who_comes_later(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=1)
    holder, came_between = one.session(), 0
    with ThreadPoolExecutor(1) as pool:
        bot = BotSession(one.url, user_id="waits", wait_seconds=40)
        entering = pool.submit(bot.start)
        stats = "/api/admin/stats"
        wait_until(lambda: one.client.get(stats).json()["queue"]["waiting"] == 1, 10, "a ticket")
        one.end(holder)
        while not entering.done():
            came_between += one.start().status_code == 201
            time.sleep(0.2)
        entering.result()
    assert came_between == 0
    assert bot.stop() is not None


def test_a_suspended_user_does_not_wait(server: Limiter) -> None:
    user, began = new_user(), time.monotonic()
    body = {"limits": {"MAX_BOTS_PER_USER": 0}, "reason": "unpaid"}
    server.admin("PUT", f"/api/admin/users/{user}/limits", body)
    with pytest.raises(Refused, match="is suspended"):
        BotSession(server.url, user_id=user, wait_seconds=60, language="en").start()
    assert time.monotonic() - began < 10


def test_the_asyncio_twin_does_the_same(short: Limiter) -> None:
    async def life() -> None:
        user = new_user()
        async with AsyncBotSession(short.url, user_id=user, bot_id="b1", language="en") as bot:
            trade = await bot.trade(symbol="BTC/USDT", side="buy", quantity=0.5, price=100)
            assert trade["trades_today"] == 1
            assert (await bot.signal())["left"] >= 0
            assert (await bot.tokens())["left"] >= 0
            with pytest.raises(Refused, match="Limit reached: 1/1 active bot for this user"):
                await AsyncBotSession(short.url, user_id=user, language="en").start()
            time.sleep(6)  # a loop that is busy for longer than the lease
            assert not bot.lost.is_set()
            assert _active(short, bot.session)
            waiter = asyncio.create_task(bot.lost.wait())
            await asyncio.sleep(0)
            short.admin("POST", f"/api/admin/sessions/{bot.public_id}/stop", {"reason": "test"})
            time.sleep(3)  # busy again: the beat is due within 1.7 s
            assert bot.lost.is_set()
            assert bot.lost_because is not None
            async with asyncio.timeout(1):
                assert await waiter
                assert await bot.lost.wait()
            with pytest.raises(Refused) as caught:
                await bot.signal()
            assert caught.value.reason == "session_ended"
        async with AsyncBotSession(short.url, user_id=user) as bot:
            held = bot.session
        assert not _active(short, held)
        assert await bot.stop() is None

    asyncio.run(life())
