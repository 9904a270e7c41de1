"""Who does what: shares of what was used, how concentrated slot-hours are, tries joined to demands. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from limiter.rules.replay import Demand
from limiter.rules.sizing import Run
from limiter.rules.words import Words

MOST = 20  # users that are named
TOP = (1, 5, 10)  # users whose share of the slot-hours is told
IDLE_SECONDS = 3600  # from here on a session without trade, signal or token counts as idle


@dataclass(frozen=True, slots=True)
class Share:
    """What one user used, and which share of all (0 to 1); `user_id` None: what no session was named for."""

    user_id: str | None
    used: int
    share: float


def shares(used: Mapping[str, int], total: int) -> list[Share]:
    """The heaviest users, and last, where there is any, what is of nobody that was named."""
    heaviest = sorted(((user, n) for user, n in used.items() if n), key=lambda one: (-one[1], one[0]))
    found = [Share(user, n, n / total) for user, n in heaviest[:MOST]]
    unnamed = total - sum(used.values())
    return [*found, Share(None, unnamed, unnamed / total)] if unnamed > 0 else found


@dataclass(frozen=True, slots=True)
class Concentration:
    """How unevenly slots are held: `top` is the share of the first 1, 5, 10 users, `half` the fewest with half."""

    users: int
    slot_ms: int
    top: Mapping[int, float]
    half: int


def concentration(slot_ms: Iterable[int]) -> Concentration | None:
    """Of how long each user held slots; None where nobody did."""
    held = sorted((ms for ms in slot_ms if ms > 0), reverse=True)
    if not held:
        return None
    sums = list(accumulate(held))
    half = next(n for n, ms in enumerate(sums, start=1) if 2 * ms >= sums[-1])
    return Concentration(len(held), sums[-1], {n: sums[min(n, len(held)) - 1] / sums[-1] for n in TOP}, half)


@dataclass(frozen=True, slots=True)
class Asked:
    """Start requests, and what they were: `demands` (one bot's run of tries is one), of them `first` refused at first
    and `lost` never served; `restarts` of a bot that had a slot; `own_limit`: refused for the user's own limit.
    Tries of bots that still ask belong to no demand yet.
    """

    attempts: int = 0
    demands: int = 0
    first: int = 0
    lost: int = 0
    restarts: int = 0
    own_limit: int = 0


def asked(requests: Iterable[Demand], runs: Sequence[Run]) -> dict[str, Asked]:
    """By user."""
    attempts, restarts, own = Counter[str](), Counter[str](), Counter[str]()
    for one in requests:
        attempts[one.user_id] += one.repeats
        if one.admitted:
            restarts[one.user_id] += one.holds
        elif one.facts.user_active >= one.facts.user_max:
            own[one.user_id] += one.repeats
    demands = Counter(run.user_id for run in runs)
    first, lost = (Counter(run.user_id for run in runs if getattr(run, name)) for name in ("first", "lost"))
    return {
        user: Asked(attempts[user], demands[user], first[user], lost[user], restarts[user], own[user])
        for user in attempts
    }


def all_asked(of: Iterable[Asked]) -> Asked:
    """Of all users together."""
    rows = [(one.attempts, one.demands, one.first, one.lost, one.restarts, one.own_limit) for one in of]
    return Asked(*(sum(column) for column in zip(*rows, strict=True)))


# -- in words

HALF = Words(
    "{half} utilisateurs sur {users} tiennent la moitié des heures de place.",
    "{half} of {users} users hold half of the slot-hours.",
)
HALF_OF_ONE = Words(
    "1 utilisateur sur {users} tient la moitié des heures de place, ou plus.",
    "1 of {users} users holds half of the slot-hours, or more.",
)
TRIES = Words(
    "Essais de démarrage : {attempts:,}. Demandes distinctes (les essais d'un bot à la suite en font une) : "
    "{demands:,} ; redémarrages : {restarts:,} ; refus pour la limite de l'utilisateur : {own_limit:,}.",
    "Tries to start: {attempts:,}. Distinct demands (a bot's run of tries is one): {demands:,}; "
    "restarts: {restarts:,}; refusals for the user's own limit: {own_limit:,}.",
)
IDLE = Words(
    "Tenues sans trade, signal ni token depuis {minutes} min ou plus : {n} des places prises ({held}).",
    "Held without a trade, a signal or a token for {minutes} min or more: {n} of the slots taken ({held}).",
)
UNTOLD = Words(
    "Aucun bot n'annonce ses trades, signaux ou tokens : l'inactivité ne se voit pas.",
    "No bot tells of its trades, signals or tokens: who is idle cannot be seen.",
)


def said_of(found: Concentration, language: str) -> str:
    """How concentrated the slot-hours are, in `fr` or `en`."""
    words = HALF_OF_ONE if found.half == 1 else HALF
    return words.filled(half=found.half, users=found.users).told(language)


def said_of_tries(found: Asked, language: str) -> str:
    """Attempts beside demands, in `fr` or `en`."""
    known = {"attempts": found.attempts, "demands": found.demands, "restarts": found.restarts}
    return TRIES.filled(**known, own_limit=found.own_limit).told(language)


def said_of_idle(n: int, held: int, seconds: int, language: str) -> str:
    """How many are idle, in `fr` or `en`."""
    return IDLE.filled(n=n, held=held, minutes=seconds // 60).told(language)
