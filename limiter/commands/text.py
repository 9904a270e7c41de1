"""How answers are written for a person: in the language of LIMITER_LANG, French where it is not set.

One language a screen: heads, labels and codes are translated here, sentences stand in both languages where they are
written, and those of the API come in the same one (`connection` asks for it).
"""

from collections.abc import Sequence

import click

from limiter import config
from limiter.rules.refusals import RECORDED
from limiter.rules.words import is_one

HEADS = {
    "A BOT": "UN BOT", "ACTION": "ACTION", "APPLIED_AT": "APPLIQUÉE", "AT": "QUAND", "ATTEMPTS": "ESSAIS",
    "BOT": "BOT", "BY": "QUI",
    "CHANGED": "CHANGÉ", "CLOSING": "FERMANTS", "COMMAND": "COMMANDE", "CPU_%": "CPU_%", "CPU_S": "CPU_S",
    "CREATED": "CRÉÉE",
    "DAYS": "JOURS", "DEMANDS": "DEMANDES", "IDLE S": "INACTIVE_S", "LAST USE": "DERNIER_USAGE",
    "LOST": "PERDUES",
    "OF LIMIT": "DE LA LIMITE", "REFUSED AT FIRST": "REFUS D'ABORD", "SHARE": "PART", "TRADES": "TRADES", "WHEN": "SUR",
    "ENDED": "TERMINÉE", "FROM": "DE",
    "HELD LONGEST": "TENUE DEPUIS LONGTEMPS", "HELD_BY": "RETENUE_PAR", "HIGH": "HAUT",
    "HOST": "HÔTE", "HIGHEST HOUR OF A DAY": "HEURE LA PLUS HAUTE DU JOUR", "HOW MUCH": "COMBIEN", "ID": "ID",
    "LEASE": "BAIL", "LIVING ENDED": "VIVANTS ARRÊTÉS", "SLOT HOURS OF THE DEAD": "HEURES DE PLACE DES MORTS",
    "LAST_HEARTBEAT": "DERNIER_BATTEMENT", "LEFT": "RESTE", "LIMIT": "LIMITE", "LOW": "BAS",
    "MAX_CONCURRENT_BOTS": "MAX_CONCURRENT_BOTS", "MB": "Mo", "MEAN": "MOYENNE", "MEDIAN": "MÉDIANE",
    "MESSAGE": "MESSAGE", "MIDDLE": "MILIEU", "NAME": "NOM", "NOTICE": "PRÉAVIS", "OPENED": "OUVERT", "P90": "P90",
    "PEAK": "PIC", "PID": "PID", "PUBLIC_ID": "PUBLIC_ID", "RANGE": "FOURCHETTE", "REASON": "MOTIF",
    "REFUSED AT": "REFUS", "REFUSED": "REFUS", "REVOKED": "RÉVOQUÉE", "SCOPE": "PORTÉE", "SECONDS": "SECONDES",
    "SEEN IN 28 DAYS": "VU EN 28 JOURS", "SESSION": "SESSION", "SINCE": "DEPUIS", "SOURCE": "SOURCE",
    "STATUS": "ÉTAT", "TEXT": "TEXTE", "TO": "À",
    "UNIT": "UNITÉ", "USED": "UTILISÉ", "USER": "UTILISATEUR", "VALUE": "VALEUR",
    "VERSION": "VERSION", "WHAT": "QUOI",
}  # fmt: skip
"""Each head of a table, and what it is in French."""

CODES = {
    "none": "aucune", "live": "à chaud", "environment": "environnement", "env_file": ".env", "default": "défaut",
    "window": "plage", "plan": "plan", "probation": "essai", "base": "hors plage", "by_hand": "à la main",
    "active": "active", "suspect": "suspecte", "ended": "terminée", "stopped": "arrêtée par le bot",
    "lease_expired": "bail expiré", "replaced": "remplacée", "admin_stop": "arrêtée par un exploitant",
    "reaped": "libérée", "drained": "vidage", "planned": "prévue", "applied": "appliquée", "held": "retenue",
    "open": "ouvert", "acknowledged": "pris en charge", "resolved": "terminé", "first": "d'abord", "lost": "perdues",
    "settings": "réglages", "channels": "canaux", "disk": "disque", "permissions": "permissions", "database": "base",
    "keys": "clés", "limiter": "limiteur", "agent": "agent", "version": "version", "sent": "envoyé",
    "pending": "en attente", "failed": "en échec", "signals": "signaux",
    "tokens": "tokens", "trades": "trades", "starts": "démarrages",
    "decisions": "décisions", "accepting": "ouverture", "snapshots": "mesures", "jobs": "tâches de fond",
    "clock": "horloge", "count": "compte", "alerts": "alertes", "wal": "journal d'écriture", "file": "fichier",
    "integrity": "intégrité", "audit": "audit", "backup": "sauvegarde",
}  # fmt: skip
"""What the API says by a word, and what it is in French; English has the API's own. Reasons to refuse have their names
from the rules."""

LANGUAGE = "limiter.language"


def language() -> str:
    """`fr` or `en`: LIMITER_LANG of the environment or `.env`; read once a command."""
    context = click.get_current_context(silent=True)
    kept = {} if context is None else context.meta
    if LANGUAGE not in kept:
        kept[LANGUAGE] = config.language()
    return str(kept[LANGUAGE])


def told(*, fr: str, en: str) -> str:
    """The one of the two that the person reads."""
    return en if language() == "en" else fr


def counted(n: int, *, fr: tuple[str, str], en: tuple[str, str]) -> str:
    """So many of it, by the word for one and the word for many: French says 0 and 1 as one, English 1 alone."""
    one, many = en if language() == "en" else fr
    return f"{n} {one if is_one(n, language()) else many}"


def labelled(label: str, text: str) -> str:
    """The text behind what it is about; French has a space before the colon."""
    return told(fr=f"{label} : {text}", en=f"{label}: {text}")


def decimal(of: float, form: str = "") -> str:
    """A figure with the point or the comma of the person's language."""
    return told(fr=format(of, form).replace(".", ","), en=format(of, form))


def percent(of: float | str) -> str:
    """75,0 % with a space that no line ends at, or 75.0%."""
    return told(fr=f"{of}\u00a0%".replace(".", ","), en=f"{of}%")


def word(code: str) -> str:
    """A code of the API as the person reads it."""
    if language() == "en":
        return code
    return RECORDED[code].label.fr if code in RECORDED else CODES.get(code, code)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns under their heads (of HEADS, or made for the person already), as wide as what is in them."""
    named = [HEADS.get(head, head) if language() == "fr" else head for head in heads]
    cells = [[_cell(one) for one in row] for row in (named, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def _cell(of: object) -> str:
    return "-" if of is None else decimal(of) if isinstance(of, float) else str(of)


def written(limit: float | None) -> str:
    """The value of a limit for a person."""
    return word("none") if limit is None else str(limit)


def more(cursor: str | None) -> list[str]:
    """How to read on, where there is more."""
    return [told(fr=f"Suite : --cursor {cursor}", en=f"More: --cursor {cursor}")] if cursor else []


class Failed(click.ClickException):
    """What went wrong, as one sentence; exit status 1."""
