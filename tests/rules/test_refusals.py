"""Every refusal of the contract: status, and the sentence in both languages, to the letter."""

import re
from typing import Any

import pytest

from limiter.rules.refusals import REASONS, RECORDED, REFUSALS, Refusal, invalid, refusing

STATUSES = {
    "server_full": 503,
    "user_limit": 429,
    "daily_trades": 429,
    "signal_rate": 429,
    "token_rate": 429,
    "start_rate": 429,
    "box_busy": 503,
    "paused": 503,
    "draining": 503,
    "storage_unavailable": 503,
    "overloaded": 503,
    "session_unknown": 404,
    "session_ended": 410,
    "trade_conflict": 409,
    "invalid_request": 422,
    "not_found": 404,
    "method_not_allowed": 405,
    "unauthorized": 401,
    "forbidden": 403,
    "too_many_attempts": 429,
    "version_conflict": 409,
    "guard_held": 409,
}
ANY_FACTS: dict[str, Any] = {
    "current": 1, "max": 1, "active": 1, "limit": 2, "used": 2, "ended_reason": "stopped", "field": "user_id",
    "message": "is missing", "scope": "bots", "version": 3, "in_force": 4, "held": "CPU 91 % > 80 %", "what": "CPU",
    "percent": 93,
}  # fmt: skip


def test_every_reason_has_the_contracts_status() -> None:
    assert {name: REASONS[name].status for name in STATUSES} == STATUSES
    assert len(REASONS) == len(REFUSALS)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_title_and_a_sentence_in_both_languages(reason: str) -> None:
    assert REASONS[reason].title
    sentences = {language: Refusal(reason, ANY_FACTS).sentence(language) for language in ("fr", "en")}
    assert sentences["fr"] != sentences["en"]
    assert not any(brace in sentence for sentence in sentences.values() for brace in "{}")


@pytest.mark.parametrize(
    ("reason", "facts", "fr", "en"),
    [
        (
            "server_full", {"current": 200, "max": 200},
            "Serveur complet (200/200 bots actifs). Réessaie dans quelques minutes.",
            "Server full (200/200 active bots). Try again in a few minutes.",
        ),
        (
            "server_full", {"current": 1, "max": 1},
            "Serveur complet (1/1 bots actifs). Réessaie dans quelques minutes.",
            "Server full (1/1 active bots). Try again in a few minutes.",
        ),
        (
            "user_limit", {"active": 1, "limit": 1},
            "Limite atteinte : 1/1 bot actif pour cet utilisateur.",
            "Limit reached: 1/1 active bot for this user.",
        ),
        (
            "user_limit", {"active": 2, "limit": 2},
            "Limite atteinte : 2/2 bots actifs pour cet utilisateur.",
            "Limit reached: 2/2 active bots for this user.",
        ),
        (
            "user_limit", {"active": 2, "limit": 1},
            "Limite atteinte : 2/1 bot actif pour cet utilisateur.",
            "Limit reached: 2/1 active bot for this user.",
        ),
        (
            "user_limit", {"active": 0, "limit": 0},
            "Limite atteinte : 0/0 bot actif pour cet utilisateur.",
            "Limit reached: 0/0 active bot for this user.",
        ),
        (
            "start_rate", {"used": 30, "limit": 30},
            "Limite atteinte : 30/30 démarrages en une minute. Réessaie dans une minute.",
            "Limit reached: 30/30 starts in a minute. Try again in a minute.",
        ),
        (
            "box_busy", {"what": "CPU", "percent": 93},
            "Serveur trop chargé (CPU 93 %). Réessaie dans quelques minutes.",
            "Server too busy (CPU 93 %). Try again in a few minutes.",
        ),
        (
            "daily_trades", {"used": 500, "limit": 500},
            "Limite atteinte : 500/500 trades aujourd'hui.",
            "Limit reached: 500/500 trades today.",
        ),
        (
            "daily_trades", {"used": 1, "limit": 1},
            "Limite atteinte : 1/1 trades aujourd'hui.",
            "Limit reached: 1/1 trades today.",
        ),
    ],
)  # fmt: skip
def test_sentences(reason: str, facts: dict[str, Any], fr: str, en: str) -> None:
    refusal = Refusal(reason, facts)
    assert refusal.sentence("fr") == fr
    assert refusal.sentence("en") == en


def test_only_declared_facts_are_shown() -> None:
    refusal = Refusal("server_full", {"current": 3, "max": 3, "capacity": {"current_bots": 3}})
    assert refusal.shown("en") == {"capacity": {"current_bots": 3}}
    assert Refusal("user_limit", {"active": 1, "limit": 1}).shown("en") == {"active": 1, "limit": 1}


def test_what_cannot_be_taken_names_its_field() -> None:
    refusal = invalid("user_id", "is missing", "manque", 400)
    assert refusal.status == 400
    assert refusal.shown("en") == {"errors": [{"field": "user_id", "message": "is missing"}]}
    assert refusal.shown("fr") == {"errors": [{"field": "user_id", "message": "manque"}]}
    assert refusal.sentence("fr") == "Demande invalide : user_id : manque"
    assert refusal.sentence("en") == "Invalid request: user_id: is missing"


def test_what_is_recorded_can_be_told_apart_in_lists_and_charts() -> None:
    labels = [REASONS[name].label(language) for name in RECORDED for language in ("fr", "en")]
    assert len(set(labels)) == len(labels)
    tints = [recorded.tint for recorded in RECORDED.values()]
    assert len(set(tints)) == len(tints) and all(re.fullmatch(r"#[0-9A-F]{6}", tint) for tint in tints)


def test_what_a_start_may_be_refused_for() -> None:
    assert {"server_full", "user_limit", "paused", "draining"} <= set(refusing("start"))
    assert "daily_trades" in refusing("trade") and "daily_trades" not in refusing("start")
