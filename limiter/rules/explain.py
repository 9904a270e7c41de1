"""Why a request was refused, told from the facts that were recorded at that instant. Pure."""

from collections.abc import Sequence
from typing import Any

from limiter.rules.records import Facts, Incident, RefusalRecord, Session
from limiter.rules.refusals import REASONS, Refusal
from limiter.rules.sessions import DRAINED as TOLD_DRAINED
from limiter.rules.sessions import SUSPENDED as TOLD_SUSPENDED
from limiter.rules.words import Words
from limiter.units import SECOND_MS

HOLDERS = 10  # sessions that are named, longest first
ASKED_FOR_SEVERAL = ("signal_rate", "token_rate")


def decided_again(refused: RefusalRecord, paused: bool | None, drained: bool = False) -> bool | None:
    """Whether the same facts are refused for the same reason once more; None where the facts do not say.

    `paused`: whether starts were paused at that instant; None where that is not known. `drained`: whether an operator
    had begun a drain; without one the limiter was about to stop, of which nothing is recorded.
    """
    if refused.reason == "paused":
        return paused
    if refused.reason == "draining":
        return drained or None
    facts = refused.facts
    if facts is not None and refused.reason in ("user_limit", "server_full"):
        return not paused and start_reason(facts) == refused.reason
    if refused.count is None or refused.value is None:
        return None
    # How many signals or tokens were asked for at once is not kept: below the limit they may have been too many.
    return True if refused.count >= refused.value else None if refused.reason in ASKED_FOR_SEVERAL else False


def start_reason(facts: Facts) -> str | None:
    """For which limit such a start is refused, in the order of the rule; None where it is admitted. The slots that it
    could be one of are those that neither the reserve nor somebody's turn kept from it."""
    if facts.user_active >= facts.user_max:
        return "user_limit"
    return "server_full" if facts.active >= facts.max_bots else None


def longest(sessions: Sequence[Session]) -> list[Session]:
    """The ten that had their slot longest, longest first."""
    return sorted(sessions, key=lambda one: (one.started_at, one.number))[:HOLDERS]


def sentence(refused: RefusalRecord, language: str, drained: bool = False) -> str:
    """What the refused was told, in `fr` or `en`; the label where the facts that fill the sentence are not kept.

    Of a suspended user's it leaves out the override's reason, which is not kept with a refusal. `drained`: whether an
    operator's drain went on; else the limiter was about to stop.
    """
    if refused.reason == "user_limit" and refused.value == 0:
        return TOLD_SUSPENDED.told(language)
    if refused.reason == "draining" and drained:
        return TOLD_DRAINED.told(language)
    used: dict[str, Any] = {
        "current": refused.count,
        "active": refused.count,
        "used": refused.count,
        "percent": refused.count,
    }
    used["what"] = "CPU" if refused.limit == "MAX_CPU_PERCENT" else "RAM"
    try:
        return Refusal(refused.reason, {**used, "max": refused.value, "limit": refused.value}).sentence(language)
    except KeyError:
        return REASONS[refused.reason].label(language)


RAISE = Words(
    "Avec {limit} d'au moins {needed}, elle aurait été admise.",
    "With {limit} of {needed} or more it would have been admitted.",
)
FREED = Words(
    "La première place s'est libérée {seconds} s plus tard.",
    "The first slot became free {seconds} s later.",
)
OWN = Words(
    "Cet utilisateur tenait : {bots} ; en arrêter un aurait suffi.",
    "This user held: {bots}; to stop one of them would have been enough.",
)
SUSPENDED = Words(
    "Cet utilisateur était suspendu (MAX_BOTS_PER_USER = 0) : il aurait fallu lever cette limite.",
    "This user was suspended (MAX_BOTS_PER_USER = 0): that limit would have had to be raised.",
)
KEPT = Words(
    "Places libres : {free}, gardées pour la réserve (RESERVED_SLOTS = {reserved}) ou pour qui attend son tour. Un "
    "utilisateur de la réserve, ou celui dont c'était le tour, aurait été admis.",
    "Free slots: {free}, kept for the reserve (RESERVED_SLOTS = {reserved}) or for who waits in turn. A user of the "
    "reserve, or the one whose turn it was, would have been admitted.",
)
TURN = Words(
    "Places libres : {free}, promises à qui attend son tour. En attendant le sien (run --wait, « queue »), il aurait "
    "eu la suivante.",
    "Free slots: {free}, promised to those who wait in turn. In a turn of its own (run --wait, “queue”) it would have "
    "had the next one.",
)
RESUMED = Words("Reprendre les démarrages (resume) l'aurait admise.", "To resume starts would have admitted it.")
DRAINED = Words(
    "Mettre fin au vidage (drain --cancel) l'aurait admise.",
    "To end the drain (drain --cancel) would have admitted it.",
)
AGAIN = Words("Redemander quelques secondes plus tard.", "To ask again some seconds later.")
AWAY = Words(
    "La base de données n'a rien pris à temps. Redemander (même bot_id, ou même Idempotency-Key) suffit dès qu'elle "
    "répond.",
    "The database took nothing in time. To ask again (same bot_id, or same Idempotency-Key) is enough once it answers.",
)
OUTAGE = Words(
    "Elle était absente depuis {before} s, et de retour {after} s plus tard (alerte {number}).",
    "It had been away for {before} s, and was back {after} s later (alert {number}).",
)
CROWDED = Words(
    "Trop de demandes attendaient au même instant. Redemander après Retry-After suffit ; qui redemande sans attendre "
    "en est souvent la cause.",
    "Too many requests waited at that instant. To ask again after Retry-After is enough; the cause is often somebody "
    "who asks again without waiting.",
)
LESS = Words(
    "Avec {limit} plus haut que {value}, ou moins de demandes à la fois, elle aurait été admise.",
    "With {limit} above {value}, or fewer requests at once, it would have been admitted.",
)


def way_out(
    refused: RefusalRecord,
    own: Sequence[Session],
    freed_at: int | None,
    reserved: int,
    language: str,
    drained: bool = False,
    outage: Incident | None = None,
) -> str:
    """What would have admitted it, in `fr` or `en`. `own`: sessions of that user then; `freed_at`: when a slot next
    became free; `reserved`: RESERVED_SLOTS then; `drained`: whether a drain went on; `outage`: of the database, over
    by now, in which it was refused."""
    if refused.reason == "storage_unavailable":
        ways = [AWAY] if outage is None else [AWAY, _outage(refused.at, outage)]
        return " ".join(words.told(language) for words in ways)
    if refused.reason == "draining" and drained:
        return DRAINED.told(language)
    return " ".join(words.told(language) for words in _ways_out(refused, own, freed_at, reserved))


def _outage(at: int, of: Incident) -> Words:
    assert of.resolved_at is not None
    before, after = (-(-ms // SECOND_MS) for ms in (at - of.opened_at, of.resolved_at - at))
    return OUTAGE.filled(before=before, after=after, number=of.number)


def _ways_out(refused: RefusalRecord, own: Sequence[Session], freed_at: int | None, reserved: int) -> list[Words]:
    if refused.reason == "paused":
        return [RESUMED]
    if refused.reason == "overloaded":
        return [CROWDED]
    if refused.limit is None or refused.value is None:
        return [AGAIN]
    if refused.reason == "user_limit" and refused.value == 0:
        return [SUSPENDED]
    if refused.reason not in ("user_limit", "server_full"):
        return [LESS.filled(limit=refused.limit, value=refused.value)]
    free = int(refused.value) - (refused.count or 0)
    if refused.reason == "server_full" and free > 0:
        ways = [KEPT.filled(free=free, reserved=reserved) if reserved else TURN.filled(free=free)]
    else:
        ways = [RAISE.filled(limit=refused.limit, needed=(refused.count or 0) + 1)]
    if refused.reason == "user_limit" and own:
        ways.append(OWN.filled(bots=", ".join(one.bot_id for one in own)))
    if refused.reason == "server_full" and freed_at is not None:
        ways.append(FREED.filled(seconds=-(-(freed_at - refused.at) // 1000)))
    return ways
