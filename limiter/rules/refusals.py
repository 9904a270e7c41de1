"""Every way to say no, declared: name, HTTP status, title, the sentence in French and English, and its facts.

A refusal is a value that a rule returns. How it travels (problem+json, `Retry-After`) is http/wire.py's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from limiter.rules.words import Words, told

Asked = Literal["start", "trade", "signals", "tokens"]
ANYTHING: tuple[Asked, ...] = ("start", "trade", "signals", "tokens")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Of a reason whose refusals are kept, each with the facts of its instant: its name in lists and charts, its
    colour there, and which requests it refuses.
    """

    label: Words
    tint: str
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason to refuse. `fr` and `en` are formats over the facts and `{s}`, the plural of `limit`."""

    name: str
    status: int
    title: str
    fr: str
    en: str
    facts: tuple[str, ...] = ()
    recorded: Recorded | None = None

    def label(self, language: str) -> str:
        """The reason in a few words, in `fr` or `en`."""
        return self.recorded.label.told(language) if self.recorded else self.title


REFUSALS: tuple[Reason, ...] = (
    Reason(
        "server_full", 503, "Server full",
        "Serveur complet ({current}/{max} bots actifs). Réessaie dans quelques minutes.",
        "Server full ({current}/{max} active bots). Try again in a few minutes.",
        ("capacity", "ticket"),
        recorded=Recorded(Words("serveur complet", "server full"), "#D55E00", ("start",)),
    ),
    Reason(
        "user_limit", 429, "Limit of the user reached",
        "Limite atteinte : {active}/{limit} bot{s} actif{s} pour cet utilisateur.",
        "Limit reached: {active}/{limit} active bot{s} for this user.",
        ("active", "limit"),
        recorded=Recorded(Words("limite de l'utilisateur", "limit of the user"), "#0072B2", ("start",)),
    ),
    Reason(
        "daily_trades", 429, "Trades of the day used up",
        "Limite atteinte : {used}/{limit} trades aujourd'hui.",
        "Limit reached: {used}/{limit} trades today.",
        ("limit", "used", "resets_at"),
        recorded=Recorded(Words("trades du jour épuisés", "trades of the day used up"), "#E69F00", ("trade",)),
    ),
    Reason(
        "signal_rate", 429, "Too many signals",
        "Limite atteinte : {used}/{limit} signaux en une minute.",
        "Limit reached: {used}/{limit} signals in a minute.",
        ("limit", "used"),
        recorded=Recorded(Words("trop de signaux", "too many signals"), "#CC79A7", ("signals",)),
    ),
    Reason(
        "token_rate", 429, "Too many tokens",
        "Limite atteinte : {used}/{limit} tokens en une minute.",
        "Limit reached: {used}/{limit} tokens in a minute.",
        ("limit", "used"),
        recorded=Recorded(Words("trop de tokens", "too many tokens"), "#56B4E9", ("tokens",)),
    ),
    Reason(
        "start_rate", 429, "Too many starts",
        "Limite atteinte : {used}/{limit} démarrages en une minute. Réessaie dans une minute.",
        "Limit reached: {used}/{limit} starts in a minute. Try again in a minute.",
        ("limit", "used"),
        recorded=Recorded(Words("trop de démarrages", "too many starts"), "#009E73", ("start",)),
    ),
    Reason(
        "box_busy", 503, "Box too busy",
        "Serveur trop chargé ({what} {percent} %). Réessaie dans quelques minutes.",
        "Server too busy ({what} {percent} %). Try again in a few minutes.",
        ("value", "threshold"),
        recorded=Recorded(Words("serveur trop chargé", "server too busy"), "#882255", ("start",)),
    ),
    Reason(
        "paused", 503, "Starts are paused",
        "Démarrages en pause. Les bots actifs continuent ; réessaie plus tard.",
        "Starts are paused. Running bots go on; try again later.",
        recorded=Recorded(Words("démarrages en pause", "starts were paused"), "#7F8C9B", ("start",)),
    ),
    Reason(
        "draining", 503, "The limiter is stopping",
        "Le serveur redémarre. Réessaie dans quelques secondes.",
        "The server is restarting. Try again in a few seconds.",
        recorded=Recorded(Words("arrêt ou vidage en cours", "stopping or drained"), "#B4BCC8", ("start",)),
    ),
    Reason(
        "storage_unavailable", 503, "Storage unavailable",
        "La base de données ne répond pas. Réessaie dans quelques secondes.",
        "The database does not answer. Try again in a few seconds.",
        recorded=Recorded(Words("base de données absente", "database away"), "#4B3B8F", ANYTHING),
    ),
    Reason(
        "overloaded", 503, "Too many requests at once",
        "Trop de demandes en même temps. Réessaie dans quelques secondes.",
        "Too many requests at once. Try again in a few seconds.",
        recorded=Recorded(Words("trop de demandes à la fois", "too many requests at once"), "#8C6D31", ANYTHING),
    ),
    Reason("session_unknown", 404, "Unknown session", "Session inconnue.", "Unknown session."),
    Reason(
        "session_ended", 410, "Session ended",
        "Session terminée ({ended_reason}).",
        "Session ended ({ended_reason}).",
        ("ended_at", "ended_reason"),
    ),
    Reason(
        "trade_conflict", 409, "Another trade has this id",
        "Un autre trade porte déjà cet identifiant.",
        "Another trade has this id already.",
    ),
    Reason(
        "invalid_request", 422, "Invalid request",
        "Demande invalide : {field} : {message}",
        "Invalid request: {field}: {message}",
        ("errors",),
    ),
    Reason("not_found", 404, "Not found", "Introuvable.", "Not found."),
    Reason("method_not_allowed", 405, "Method not allowed", "Méthode non permise.", "Method not allowed."),
    Reason("unauthorized", 401, "Unauthorized", "Clé absente ou inconnue.", "Missing or unknown key."),
    Reason(
        "forbidden", 403, "Forbidden",
        "Cette clé ne donne pas ce droit ({scope}).",
        "This key does not carry that scope ({scope}).",
        ("scope",),
    ),
    Reason(
        "too_many_attempts", 429, "Too many wrong keys",
        "Trop de clés fausses depuis cette adresse. Réessaie dans une minute.",
        "Too many wrong keys from this address. Try again in a minute.",
    ),
    Reason(
        "version_conflict", 409, "Changed meanwhile",
        "Les limites ont changé entre-temps (version {version}). Recharge et recommence.",
        "The limits have changed meanwhile (version {version}). Reload and try again.",
        ("version",),
    ),
    Reason(
        "guard_held", 409, "Held by a guard",
        "Hausse retenue : {held}",
        "Raise held back: {held}",
        ("guards",),
    ),
    Reason(
        "probation_open", 409, "A change is on probation",
        "La version {version} est à l'essai. Confirme-la ou reviens en arrière d'abord.",
        "Version {version} is on probation. Confirm it or roll it back first.",
        ("version", "ends_at"),
    ),
    Reason(
        "probation_over", 409, "Not on probation",
        "La version {version} n'est pas à l'essai (version en vigueur : {in_force}).",
        "Version {version} is not on probation (version in force: {in_force}).",
        ("version",),
    ),
)  # fmt: skip

REASONS: dict[str, Reason] = {reason.name: reason for reason in REFUSALS}
RECORDED: dict[str, Recorded] = {reason.name: reason.recorded for reason in REFUSALS if reason.recorded}


def refusing(asked: Asked) -> tuple[str, ...]:
    """The reasons for which such a request may be refused and which are kept, in the order of the table."""
    return tuple(name for name, recorded in RECORDED.items() if asked in recorded.asked)


class Refusal(Struct, frozen=True, eq=False):
    """A refused request: why, with the facts of that instant; `retry_after_seconds` where trying again makes sense.

    `facts` whose names the reason declares are shown to the caller; the others only fill the sentence.
    `status` and `words` replace the reason's own where one reason has several (invalid_request; a suspended user).
    """

    reason: str
    facts: Mapping[str, Any] = {}
    retry_after_seconds: int | None = None
    status: int | None = None
    words: Words | None = None

    def sentence(self, language: str) -> str:
        """The sentence for the person, in `fr` or `en`."""
        reason = REASONS[self.reason]
        limit = self.facts.get("limit")
        plural = "s" if isinstance(limit, int) and limit > 1 else ""
        sentence = (self.words or Words(reason.fr, reason.en)).told(language)
        return sentence.format_map({**told(self.facts, language), "s": plural})

    def shown(self, language: str) -> dict[str, Any]:
        """The facts that the caller is told beside the sentence."""
        declared = REASONS[self.reason].facts
        return {name: told(self.facts[name], language) for name in declared if name in self.facts}


def invalid(field_name: str, en: str, fr: str, status: int = 422) -> Refusal:
    """A request that cannot be taken: which field, and why."""
    message = Words(fr, en)
    errors = [{"field": field_name, "message": message}]
    return Refusal("invalid_request", {"field": field_name, "message": message, "errors": errors}, status=status)
