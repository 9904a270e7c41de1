"""What a connection sends, and what replies mean: what is not the limiter's success is a Refused with a sentence."""

import httpx
import pytest

from limiter.client.wire import Connection, Refused

PROBLEM = {
    "type": "about:blank",
    "title": "Server full",
    "status": 503,
    "detail": "Serveur complet (200/200 bots actifs). Réessaie dans quelques minutes.",
    "success": False,
    "error": "Serveur complet (200/200 bots actifs). Réessaie dans quelques minutes.",
    "reason": "server_full",
    "request_id": "r-1",
    "capacity": {"current_bots": 200},
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIMITER_URL", "LIMITER_KEY", "LIMITER_LANG"):
        monkeypatch.delenv(name, raising=False)


def refused(reply: httpx.Response | httpx.RequestError, language: str = "en") -> Refused:
    refusal = Connection(language=language).refusal(reply)
    assert refusal is not None
    return refusal


def test_a_problem_becomes_a_refusal_with_its_own_facts() -> None:
    got = refused(httpx.Response(503, json=PROBLEM, headers={"Retry-After": "30"}))
    assert (got.reason, got.status, str(got)) == ("server_full", 503, PROBLEM["error"])
    assert (got.request_id, got.retry_after, got.extra) == ("r-1", 30.0, {"capacity": {"current_bots": 200}})


@pytest.mark.parametrize(
    ("reply", "reason", "status"),
    [
        (httpx.ConnectError("refused"), "out_of_reach", 0),
        (httpx.ReadTimeout(""), "out_of_reach", 0),
        (httpx.Response(502, html="<h1>Bad Gateway</h1>"), "out_of_reach", 502),
        (httpx.Response(404, html="<h1>Not Found</h1>"), "not_a_limiter", 404),
        (httpx.Response(200, json=["a list"]), "not_a_limiter", 200),
        (httpx.Response(200, content=b"{", headers={"Content-Type": "application/json"}), "not_a_limiter", 200),
        (httpx.Response(302, headers={"Location": "/login"}), "not_a_limiter", 302),
        (httpx.Response(500, json={"detail": "elsewhere"}), "not_a_limiter", 500),
    ],
)
def test_what_is_not_the_limiter_is_refused_with_a_sentence_that_names_the_address(
    reply: httpx.Response | httpx.RequestError, reason: str, status: int
) -> None:
    got = refused(reply)
    assert (got.reason, got.status) == (reason, status)
    assert "http://127.0.0.1:5001" in str(got)


def test_own_sentences_are_in_french_unless_english_is_asked_for() -> None:
    error = httpx.ConnectError("x")
    assert str(refused(error, "fr")).startswith("Le limiteur ne répond pas")
    assert str(refused(error, "en-GB,en;q=0.9")).startswith("No limiter answers")


def test_success_is_no_refusal() -> None:
    assert Connection().refusal(httpx.Response(201, json={"success": True})) is None
    assert Connection().refusal(httpx.Response(200, text="at,bots\n")) is None


def test_environment_counts_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITER_URL", "https://limiter.example/")
    monkeypatch.setenv("LIMITER_KEY", " lim_1_secret\n")
    monkeypatch.setenv("LIMITER_LANG", "en")
    options = Connection().options()
    assert (options["base_url"], options["verify"]) == ("https://limiter.example", True)
    assert options["headers"]["Authorization"] == "Bearer lim_1_secret"
    assert options["headers"]["Accept-Language"] == "en"
    given = Connection("http://127.0.0.1:1", "", "fr").options()
    assert (given["base_url"], given["verify"]) == ("http://127.0.0.1:1", False)
    assert "Authorization" not in given["headers"]


def test_an_address_that_cannot_be_read_is_refused_with_a_sentence() -> None:
    with pytest.raises(Refused) as caught:
        Connection("http://127.0.0.1:no", language="en")
    assert caught.value.reason == "out_of_reach"
