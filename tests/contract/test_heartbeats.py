"""Many heartbeats in one request, what a bot costs told with them, and the bodies that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import Limiter, granted, instant, wait_until, wrong_fields

pytestmark = pytest.mark.every_database

Start = Callable[..., Limiter]
PATH = "/api/bots/heartbeats"
MEASURED = {"memory_bytes": 84_324_352, "cpu_seconds": 12.34}


def beats(server: Limiter, *items: Any) -> httpx.Response:
    return server.post(PATH, {"beats": items})


def beat(session: Any, **figures: Any) -> dict[str, Any]:
    return {"session_id": session["session_id"], **figures}


def test_one_request_renews_many_leases_in_order(server: Limiter) -> None:
    sessions = server.fill(3)
    body = granted(beats(server, *(beat(one, **MEASURED) for one in reversed(sessions))))
    assert [result.keys() for result in body["results"]] == [{"ok", "lease_expires_at", "notice"}] * 3
    assert all(result["ok"] is True and result["notice"] is None for result in body["results"])
    for session, result in zip(reversed(sessions), body["results"], strict=True):
        (row,) = server.listed(user_id=session["user_id"])
        assert row["lease_expires_at"] == result["lease_expires_at"]
        assert instant(result["lease_expires_at"]) >= instant(session["lease_expires_at"])
    said = granted(server.client.get("/api/limits"))
    assert (body["limits"], body["limits_version"]) == (said["limits"], said["limits_version"])
    assert body["heartbeat_seconds"] == 20


def test_a_bad_item_harms_no_neighbour(server: Limiter) -> None:
    living, stopped, replaced = server.session(), server.session(), server.session("twice", "b")
    end = granted(server.end(stopped))["session"]
    newest = server.session("twice", "b")
    wrong_secret = {"session_id": living["session_id"][:-4] + "...."}
    strange = ["", "s1", "s1.", "x" * 5_000, "s" + "9" * 40 + ".x", "' OR 1=1 --", "\x00", "é", living["public_id"]]
    items = [
        wrong_secret, *({"session_id": text} for text in strange), beat(stopped), beat(living), beat(replaced),
        beat(living, extra="passed over"), beat(newest),
    ]  # fmt: skip
    results = granted(beats(server, *items))["results"]
    unknown = {"ok": False, "reason": "session_unknown"}
    assert results[: len(strange) + 1] == [unknown] * (len(strange) + 1)
    over, first, handed_on, again, last = results[len(strange) + 1 :]
    assert over == {"ok": False, "reason": "session_ended", "ended_at": end["ended_at"], "ended_reason": "stopped"}
    assert (handed_on["ok"], handed_on["ended_reason"]) == (False, "replaced")
    assert first == again and first["ok"] and last["ok"]


def test_a_lease_that_has_run_out_is_told(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS="5")
    silent, living = one.session(), one.session()

    def result() -> Any:
        return granted(beats(one, beat(living)))["results"][0]

    wait_until(lambda: result()["ok"] and one.capacity()["current_bots"] == 1, 8)
    over, alive = granted(beats(one, beat(silent), beat(living)))["results"]
    assert over["ended_at"] == silent["lease_expires_at"]
    assert (over["reason"], over["ended_reason"], alive["ok"]) == ("session_ended", "lease_expired", True)


def test_a_new_lease_length_reaches_every_session_of_the_request(limiter: Start) -> None:
    one = limiter()
    sessions = one.fill(2)
    one.set_limits(BOT_LEASE_SECONDS=120)
    body = granted(beats(one, *map(beat, sessions)))
    for session, result in zip(sessions, body["results"], strict=True):
        assert (instant(result["lease_expires_at"]) - instant(session["lease_expires_at"])).total_seconds() >= 60
    assert (body["heartbeat_seconds"], body["limits"]["BOT_LEASE_SECONDS"]) == (40, 120)


def test_five_hundred_beats_with_figures_fit_a_body(limiter: Start) -> None:
    one = limiter(MAX_BOTS_PER_USER="500", MAX_CONCURRENT_BOTS="500")
    sessions = [one.session("u1") for _ in range(500)]
    items = [beat(session, memory_bytes=2**40 + n, cpu_seconds=1e6 + n / 7) for n, session in enumerate(sessions)]
    results = granted(beats(one, *items))["results"]
    assert [result["ok"] for result in results] == [True] * 500


@pytest.mark.parametrize("items", [0, 501])
def test_so_many_beats_are_refused_whole(server: Limiter, items: int) -> None:
    assert wrong_fields(beats(server, *[{"session_id": "x"}] * items), 422) == {"beats"}


@pytest.mark.parametrize(
    "body",
    [{}, {"beats": None}, {"beats": {}}, {"beats": "x"}, {"beats": [1]}, {"beats": [None]}, {"beats": [{}]},
     {"beats": [{"session_id": 5}]}, {"beats": [{"session_id": None}]}],
)  # fmt: skip
def test_a_body_of_another_shape_is_400(server: Limiter, body: Any) -> None:
    wrong_fields(server.post(PATH, body), 400)


@pytest.mark.parametrize("figure", ["memory_bytes", "cpu_seconds"])
@pytest.mark.parametrize("wrong", [True, "1", [], {}])
def test_a_figure_of_another_type_is_400(server: Limiter, figure: str, wrong: Any) -> None:
    session = server.session()
    wrong_fields(server.post("/api/bots/heartbeat", beat(session, **{figure: wrong})), 400)
    wrong_fields(beats(server, beat(session), beat(session, **{figure: wrong})), 400)


@pytest.mark.parametrize(
    ("figure", "wrong"),
    [("memory_bytes", "-1"), ("memory_bytes", str(2**53 + 1)), ("memory_bytes", "9" * 40), ("cpu_seconds", "-0.1"),
     ("cpu_seconds", "1e13"), ("cpu_seconds", "1e999")],
)  # fmt: skip
def test_a_figure_out_of_range_is_422(server: Limiter, figure: str, wrong: str) -> None:
    item = json.dumps(beat(server.session()))[:-1] + f', "{figure}": {wrong}}}'
    wrong_fields(server.send("/api/bots/heartbeat", item.encode()), 422)
    wrong_fields(server.send(PATH, f'{{"beats": [{item}]}}'.encode()), 422)


def test_a_wrong_type_goes_before_a_number_out_of_range(server: Limiter) -> None:
    session = server.session()
    wrong_fields(beats(server, beat(session, memory_bytes=-1), {"session_id": 5}), 400)


def test_figures_may_be_left_out_or_null(server: Limiter) -> None:
    session = server.session()
    items = [beat(session), beat(session, memory_bytes=None, cpu_seconds=None), beat(session, memory_bytes=0)]
    items += [beat(session, cpu_seconds=3), beat(session, memory_bytes=2**53, cpu_seconds=0)]
    assert all(result["ok"] for result in granted(beats(server, *items))["results"])
    for item in items:
        body = granted(server.post("/api/bots/heartbeat", item))
        assert body["notice"] is None
