"""The life of a session: start, retry, replacement, heartbeat, stop, the end of a lease, and restarts."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.conftest import INSTANT, Limiter, granted, instant, new_user, refused, served, wait_until, wrong_fields

pytestmark = pytest.mark.every_database

Start = Callable[..., Limiter]
SESSION_FIELDS = {
    "session_id",
    "public_id",
    "user_id",
    "bot_id",
    "started_at",
    "lease_expires_at",
    "lease_seconds",
    "heartbeat_seconds",
}
LIMITS = {
    *("MAX_CONCURRENT_BOTS", "MAX_BOTS_PER_USER", "MAX_TRADES_PER_DAY", "ALERT_THRESHOLD", "WEBSOCKET_RECONNECT"),
    *("MAX_TOKENS_PER_MINUTE", "MAX_SIGNALS_PER_MINUTE", "MAX_SIGNALS_PER_MINUTE_PER_USER", "BOT_LEASE_SECONDS"),
    *("RESERVED_SLOTS", "MAX_STARTS_PER_MINUTE", "MAX_CPU_PERCENT", "MAX_RAM_PERCENT"),
}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    """A limiter whose leases last the 5 s that are the least."""
    with served(Limiter(tmp_path_factory.mktemp("short"), {"BOT_LEASE_SECONDS": "5"})) as shared:
        yield shared


def ended(answer: httpx.Response, reason: str) -> Any:
    """The body of a 410 that says when and why the session ended."""
    body = refused(answer, 410, "session_ended")
    assert INSTANT.fullmatch(body["ended_at"])
    assert body["ended_reason"] == reason
    return body


# -- start -----------------------------------------------------------------------------------------------------------
def test_a_start_answers_with_session_limits_and_capacity(server: Limiter) -> None:
    user = new_user()
    before = server.capacity()["current_bots"]
    body = granted(server.start(user, "b1"), 201)
    assert body.keys() >= {"success", "session", "limits", "limits_version", "capacity"}
    session = body["session"]
    assert session.keys() >= SESSION_FIELDS
    assert (session["user_id"], session["bot_id"]) == (user, "b1")
    assert (session["lease_seconds"], session["heartbeat_seconds"]) == (60, 20)
    assert abs((instant(session["started_at"]) - datetime.now(UTC)).total_seconds()) < 5
    assert (instant(session["lease_expires_at"]) - instant(session["started_at"])).total_seconds() == 60
    assert body["limits"].keys() == LIMITS
    assert body["limits"]["MAX_CONCURRENT_BOTS"] == 200
    assert body["limits_version"] == granted(server.client.get("/api/limits"))["limits_version"]
    assert body["capacity"]["current_bots"] == before + 1


def test_a_start_tells_the_limits_of_that_user(server: Limiter) -> None:
    user = new_user()
    body = {"limits": {"MAX_TRADES_PER_DAY": 3}, "reason": "test"}
    granted(server.admin("PUT", f"/api/admin/users/{user}/limits", body))
    assert granted(server.start(user), 201)["limits"]["MAX_TRADES_PER_DAY"] == 3


def test_a_session_id_is_a_secret_and_the_public_id_is_not(server: Limiter) -> None:
    sessions = server.fill(5)
    assert len({session["session_id"] for session in sessions}) == 5
    assert len({session["public_id"] for session in sessions}) == 5
    for session in sessions:
        secret = session["session_id"].replace(session["public_id"], "").strip(".")
        assert len(base64.urlsafe_b64encode(secret.encode())) >= 22, "128 bits need 22 characters of base64"
        refused(server.post("/api/bots/stop", {"session_id": session["public_id"]}), 404, "session_unknown")
        forged = session["session_id"][:-4] + ("AAAA" if session["session_id"][-4:] != "AAAA" else "BBBB")
        refused(server.post("/api/bots/stop", {"session_id": forged}), 404, "session_unknown")
        granted(server.beat(session))


def test_a_bot_id_left_out_is_a_new_one(server: Limiter) -> None:
    user = new_user()
    granted(server.admin("PUT", f"/api/admin/users/{user}/limits", {"limits": {"MAX_BOTS_PER_USER": 2}, "reason": "t"}))
    first, second = server.session(user), server.session(user)
    assert first["bot_id"] != second["bot_id"]
    granted(server.beat(first))


@pytest.mark.parametrize("identifier", ["a", "9", "A.b_c:d@e/f-g", "x" * 64, "0"])
def test_identifiers_within_the_grammar_are_taken(server: Limiter, identifier: str) -> None:
    session = server.session(identifier, identifier)
    assert (session["user_id"], session["bot_id"]) == (identifier, identifier)
    granted(server.end(session))


@pytest.mark.parametrize(
    "identifier",
    ["", "x" * 65, "-a", ".a", "_a", "a b", "a\n", "a\x00", "é", "a\u202e", "a,b", "a'b", "=1+1", "<b>", "a\\b", "１"],
)
def test_identifiers_outside_the_grammar_are_refused(server: Limiter, identifier: str) -> None:
    assert wrong_fields(server.post("/api/bots/start", {"user_id": identifier}), 422) == {"user_id"}
    body = {"user_id": new_user(), "bot_id": identifier}
    assert wrong_fields(server.post("/api/bots/start", body), 422) == {"bot_id"}


def test_a_json_integer_is_taken_as_text(server: Limiter) -> None:
    session = granted(server.post("/api/bots/start", {"user_id": 4_200_001, "bot_id": 2**53 - 1}), 201)["session"]
    assert (session["user_id"], session["bot_id"]) == ("4200001", str(2**53 - 1))
    refused(server.start("4200001"), 429, "user_limit")


@pytest.mark.parametrize("identifier", [2**53, 2**63, -1, 10**400])
def test_an_integer_that_is_no_identifier_is_refused(server: Limiter, identifier: int) -> None:
    body = f'{{"user_id": {identifier}}}'.encode()
    assert server.send("/api/bots/start", body).status_code in (400, 422)


@pytest.mark.parametrize("wrong", [True, 1.5, None, [], {}, ["u1"]])
def test_an_identifier_of_another_type_is_refused(server: Limiter, wrong: Any) -> None:
    assert wrong_fields(server.post("/api/bots/start", {"user_id": wrong}), 400) == {"user_id"}


def test_a_start_without_a_user_is_refused(server: Limiter) -> None:
    assert wrong_fields(server.post("/api/bots/start", {"bot_id": "b1"}), 400) == {"user_id"}


# -- idempotent retries ----------------------------------------------------------------------------------------------
def test_a_lost_answer_can_be_retried_with_the_same_key(server: Limiter) -> None:
    user, before = new_user(), server.capacity()["current_bots"]
    first = granted(server.start(user, "b1", Idempotency_Key=f"{user}-k"), 201)["session"]
    again = granted(server.start(user, "b1", Idempotency_Key=f"{user}-k"), 200)["session"]
    assert {name: again[name] for name in SESSION_FIELDS} == {name: first[name] for name in SESSION_FIELDS} | {
        "lease_expires_at": again["lease_expires_at"]
    }
    assert server.capacity()["current_bots"] == before + 1


def test_a_retry_without_bot_id_is_the_same_both_times(server: Limiter) -> None:
    user = new_user()
    first = server.session(user, Idempotency_Key=f"{user}-k")
    again = granted(server.start(user, Idempotency_Key=f"{user}-k"), 200)["session"]
    assert (again["session_id"], again["bot_id"]) == (first["session_id"], first["bot_id"])


def test_a_key_with_another_user_or_bot_is_a_separate_start(server: Limiter) -> None:
    one, other, key = new_user(), new_user(), f"{new_user()}-k"
    first = server.session(one, "b1", Idempotency_Key=key)
    assert server.session(other, "b1", Idempotency_Key=key)["session_id"] != first["session_id"]
    refused(server.start(one, "b2", Idempotency_Key=key), 429, "user_limit")
    refused(server.start(one, Idempotency_Key=key), 429, "user_limit")
    granted(server.start(one, "b1", Idempotency_Key=key), 200)


def test_a_key_is_free_again_once_its_session_has_ended(server: Limiter) -> None:
    user = new_user()
    first = server.session(user, "b1", Idempotency_Key=f"{user}-k")
    granted(server.end(first))
    second = server.session(user, "b1", Idempotency_Key=f"{user}-k")
    assert second["session_id"] != first["session_id"]
    ended(server.beat(first), "stopped")


@pytest.mark.parametrize("key", ["-x", "a b", "x" * 65, "é"])
def test_a_key_outside_the_grammar_is_refused(server: Limiter, key: str) -> None:
    headers = {b"Content-Type": b"application/json", b"Idempotency-Key": key.encode()}
    answer = server.client.post("/api/bots/start", content=f'{{"user_id": "{new_user()}"}}', headers=headers)
    refused(answer, 422, "invalid_request")


def test_a_retry_is_answered_in_every_state(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="1")
    session = one.session("u1", "b1", Idempotency_Key="k1")

    def is_same() -> bool:
        again = granted(one.start("u1", "b1", Idempotency_Key="k1"), 200)["session"]
        return bool(again["session_id"] == session["session_id"])

    refused(one.start("u2"), 503, "server_full")
    assert is_same(), "full"
    one.set_limits(MAX_BOTS_PER_USER=0)
    assert is_same(), "suspended"
    one.set_limits(MAX_CONCURRENT_BOTS=0)
    assert is_same(), "limit 0"
    granted(one.admin("POST", "/api/admin/pause", {"reason": "test"}))
    assert is_same(), "paused"
    one.restart(kill=True)
    assert is_same(), "after a kill"


# -- replacement -----------------------------------------------------------------------------------------------------
def test_the_newest_start_of_a_bot_wins_its_slot(server: Limiter) -> None:
    user, before = new_user(), server.capacity()["current_bots"]
    old = server.session(user, "b1")
    new = server.session(user, "b1")
    assert new["session_id"] != old["session_id"]
    assert new["public_id"] != old["public_id"]
    assert server.capacity()["current_bots"] == before + 1
    body = ended(server.beat(old), "replaced")
    assert instant(body["ended_at"]) >= instant(old["started_at"])
    granted(server.beat(new))
    stopped = granted(server.end(old))["session"]
    assert (stopped["ended_reason"], stopped["ended_at"]) == ("replaced", body["ended_at"])
    granted(server.beat(new))


def test_another_idempotency_key_for_an_active_bot_replaces_it(server: Limiter) -> None:
    user = new_user()
    first = server.session(user, "b1", Idempotency_Key=f"{user}-1")
    second = server.session(user, "b1", Idempotency_Key=f"{user}-2")
    ended(server.beat(first), "replaced")
    granted(server.beat(second))


def test_a_replacement_needs_no_slot(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="2", MAX_BOTS_PER_USER="2")
    one.session("u1", "b1")
    one.session("u1", "b2")
    assert one.capacity()["status"] == "FULL"
    one.session("u1", "b1")
    one.set_limits(MAX_BOTS_PER_USER=1)
    one.session("u1", "b1")
    one.set_limits(MAX_CONCURRENT_BOTS=0)
    last = one.session("u1", "b1")
    refused(one.start("u2"), 503, "server_full")
    assert one.capacity()["current_bots"] == 2

    one.set_limits(MAX_BOTS_PER_USER=0)
    body = refused(one.start("u1", "b1"), 429, "user_limit")
    assert body["error"] == "Ce compte est suspendu."
    granted(one.beat(last))

    one.set_limits(MAX_BOTS_PER_USER=1)
    granted(one.admin("POST", "/api/admin/pause", {"reason": "test"}))
    refused(one.start("u1", "b1"), 503, "paused")
    granted(one.beat(last))


# -- heartbeat and stop ----------------------------------------------------------------------------------------------
def test_a_heartbeat_renews_the_lease_and_tells_the_limits(server: Limiter) -> None:
    session = server.session()
    time.sleep(0.02)
    body = granted(server.beat(session))
    renewed = body["session"]
    assert renewed["public_id"] == session["public_id"]
    assert instant(renewed["lease_expires_at"]) > instant(session["lease_expires_at"])
    assert body["limits"].keys() == LIMITS
    assert isinstance(body["limits_version"], int)


def test_a_stop_frees_the_slot_and_tells_its_end(server: Limiter) -> None:
    user, before = new_user(), server.capacity()["current_bots"]
    session = server.session(user)
    stopped = granted(server.end(session))["session"]
    assert stopped["ended_reason"] == "stopped"
    assert instant(stopped["ended_at"]) >= instant(session["started_at"])
    assert server.capacity()["current_bots"] == before
    server.session(user)


def test_a_second_stop_tells_the_same_end(server: Limiter) -> None:
    session = server.session()
    first = granted(server.end(session))["session"]
    time.sleep(0.02)
    second = granted(server.end(session))["session"]
    assert (second["ended_at"], second["ended_reason"]) == (first["ended_at"], "stopped")


def test_a_heartbeat_of_a_stopped_session_says_so(server: Limiter) -> None:
    session = server.session()
    stopped = granted(server.end(session))["session"]
    assert ended(server.beat(session), "stopped")["ended_at"] == stopped["ended_at"]


@pytest.mark.parametrize("path", ["/api/bots/heartbeat", "/api/bots/stop"])
@pytest.mark.parametrize("session_id", ["s999999.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "unknown", "s1.", "' OR 1=1 --"])
def test_a_session_never_known_is_404(server: Limiter, path: str, session_id: str) -> None:
    refused(server.post(path, {"session_id": session_id}), 404, "session_unknown")


@pytest.mark.parametrize("path", ["/api/bots/heartbeat", "/api/bots/stop", "/api/bots/signals"])
@pytest.mark.parametrize("body", [{}, {"session_id": None}, {"session_id": True}, {"session_id": ["a"]}])
def test_a_session_id_missing_or_of_another_type_is_400(server: Limiter, path: str, body: Any) -> None:
    assert wrong_fields(server.post(path, body), 400) == {"session_id"}


def test_a_new_lease_length_reaches_a_session_with_its_next_heartbeat(limiter: Start) -> None:
    one = limiter()
    session = one.session("u1")
    one.set_limits(BOT_LEASE_SECONDS=120)
    (row,) = one.listed(user_id="u1")
    assert row["lease_expires_at"] == session["lease_expires_at"]
    renewed = granted(one.beat(session))["session"]
    assert (renewed["lease_seconds"], renewed["heartbeat_seconds"]) == (120, 40)
    assert (instant(renewed["lease_expires_at"]) - instant(session["lease_expires_at"])).total_seconds() >= 60
    assert one.session("u2")["lease_seconds"] == 120


# -- the end of a lease ----------------------------------------------------------------------------------------------
def test_a_silent_session_ends_when_its_lease_does(short: Limiter) -> None:
    session = short.session()
    beaten = short.session()
    assert session["heartbeat_seconds"] == pytest.approx(5 / 3, abs=0.01)
    user = session["user_id"]
    refused(short.start(user), 429, "user_limit")

    def is_free() -> bool:
        granted(short.beat(beaten))
        return short.start(user).status_code == 201

    wait_until(is_free, 8, "the slot is free again")
    late = (datetime.now(UTC) - instant(session["lease_expires_at"])).total_seconds()
    assert -0.1 < late < 1.1, f"the slot was free {late} s after the end of the lease"

    assert ended(short.beat(session), "lease_expired")["ended_at"] == session["lease_expires_at"]
    stopped = granted(short.end(session))["session"]
    assert (stopped["ended_at"], stopped["ended_reason"]) == (session["lease_expires_at"], "lease_expired")
    granted(short.beat(beaten))
    (row,) = [row for row in short.listed(user_id=user) if row["public_id"] == session["public_id"]]
    assert (row["status"], row["ended_reason"]) == ("ended", "lease_expired")
    assert row["ended_at"] == session["lease_expires_at"]


def test_a_full_limiter_admits_again_once_a_lease_has_run_out(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="2", BOT_LEASE_SECONDS="5")
    sessions = one.fill(2)
    refused(one.start(), 503, "server_full")
    granted(one.beat(sessions[1]))
    wait_until(lambda: one.start().status_code == 201, 8)
    late = (datetime.now(UTC) - instant(sessions[0]["lease_expires_at"])).total_seconds()
    assert -0.1 < late < 1.1


# -- restarts --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kill", [False, True])
def test_a_restart_keeps_and_renews_every_session(limiter: Start, kill: bool) -> None:
    one = limiter(BOT_LEASE_SECONDS="5")
    living, stopped, replaced = one.session("u1"), one.session("u2"), one.session("u3", "b")
    end = granted(one.end(stopped))["session"]
    one.session("u3", "b")
    if kill:
        one.kill()
    else:
        assert one.stop() == 0
    time.sleep(max(0.0, (instant(living["lease_expires_at"]) - datetime.now(UTC)).total_seconds()) + 0.5)
    one.client = one.new_client()
    one.serve()
    (row,) = one.listed(user_id="u1")
    assert row["status"] == "active"
    full = (instant(row["lease_expires_at"]) - datetime.now(UTC)).total_seconds()
    assert 2 < full <= 5.1, f"a lease of 5 s was renewed to {full} s"
    assert one.capacity()["current_bots"] == 2
    granted(one.beat(living))
    again = ended(one.beat(stopped), "stopped")
    assert again["ended_at"] == end["ended_at"]
    ended(one.beat(replaced), "replaced")


def test_an_end_that_was_told_stays_an_end(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS="5")
    session = one.session("u1")
    wait_until(lambda: datetime.now(UTC) > instant(session["lease_expires_at"]), 8)
    told = ended(one.beat(session), "lease_expired")
    one.restart(kill=True)
    assert ended(one.beat(session), "lease_expired")["ended_at"] == told["ended_at"]


def test_zombies_are_gone_one_lease_after_a_restart(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS="5")
    one.fill(3)
    one.restart(kill=True)
    assert one.capacity()["current_bots"] == 3
    wait_until(lambda: one.capacity()["current_bots"] == 0, 8)
