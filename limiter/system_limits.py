"""Every limit, declared once. Edit the defaults here; whatever else knows a limit (environment, `.env`, PATCH checks,
command line, OpenAPI, console, docs) reads CATALOGUE.

A value in force is a live change over the environment over `.env` over the default below. Imports nothing of ours.
"""

import contextlib
import math
import re
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Vps:
    """A size of VPS: RAM in GB, the bots it carries comfortably, US dollars a month."""

    ram_gb: int
    bots: int
    price_usd_month: int


VPS_SIZES = (Vps(2, 50, 10), Vps(4, 150, 40), Vps(8, 300, 80), Vps(16, 500, 160))


def get_recommended_limit_for_vps(ram_gb: float) -> int:
    """How many bots a VPS with `ram_gb` GB of RAM carries comfortably: 2 → 50, 4 → 150, 8 → 300, 16 → 500.

    Between two sizes the lower one holds; below 2 GB, 25 bots a GB; above 16 GB, 500.
    Raises ValueError where `ram_gb` is not a positive number.
    """
    if isinstance(ram_gb, bool) or not isinstance(ram_gb, int | float) or not 0 < ram_gb < math.inf:
        raise ValueError(f"ram_gb must be a positive number of GB, not {ram_gb!r}")
    reached = [size.bots for size in VPS_SIZES if ram_gb >= size.ram_gb]
    return reached[-1] if reached else math.floor(25 * ram_gb)


# The defaults. MAX_CONCURRENT_BOTS = get_recommended_limit_for_vps(4) works here too.
MAX_CONCURRENT_BOTS = 200  # bots running at once, all users together
MAX_BOTS_PER_USER = 1  # bots running at once for one user
MAX_TRADES_PER_DAY = 500  # trades of one user from midnight to midnight
ALERT_THRESHOLD = 80  # % of MAX_CONCURRENT_BOTS that alerts the operator: 160 of 200
WEBSOCKET_RECONNECT = 5  # seconds a bot waits before it reconnects
MAX_TOKENS_PER_MINUTE = 1000  # protects the CPU
MAX_SIGNALS_PER_MINUTE = 100  # avoids spam
MAX_SIGNALS_PER_MINUTE_PER_USER = None  # none: only the system's rate holds
RESERVED_SLOTS = 0  # of MAX_CONCURRENT_BOTS, for users of the reserve alone
MAX_STARTS_PER_MINUTE = None  # none: a reboot may start all bots at once
MAX_CPU_PERCENT = None  # none: nobody is refused because the box is busy
MAX_RAM_PERCENT = None
BOT_LEASE_SECONDS = 60  # a bot that is silent for so long gives its slot back

Value = int | float | None
"""What a limit may be; None is "no limit"."""

NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: its name (also the environment variable), default, unit, scope, inclusive bounds, and meaning.

    `suffix` is the spelling allowed behind a number (`80%`, `5s`); `whole` asks for an integer;
    `optional` allows `none`, which is no limit. `step` is by how much the console's field moves at a click;
    `unit_fr` is the unit in French where it is another word.
    """

    name: str
    default: Value
    unit: str
    scope: Literal["system", "user", "session"]
    minimum: float
    maximum: int
    meaning: str
    meaning_fr: str
    suffix: str = ""
    whole: bool = True
    optional: bool = False
    step: float = 1
    unit_fr: str = ""

    def __post_init__(self) -> None:
        with contextlib.suppress(TypeError, ValueError):  # which the start says, by a name and a sentence
            object.__setattr__(self, "default", self.checked_default())

    def checked_default(self) -> Value:
        """The default as a value. Raises TypeError or ValueError where it was edited to what no limit can be."""
        return None if self.default is None and self.optional else self.accept(self.default)

    def accept(self, value: object) -> Value:
        """The value as a number (or None), from a number or one of the spellings.

        Raises TypeError where it is neither a number nor a text, ValueError where it is out of bounds or unreadable;
        both with a sentence that names the limit.
        """
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError(f"{self.name} must be a number")
        number: Any = value
        if isinstance(value, str):
            text = value.strip()
            if self.optional and text.lower() == "none":
                return None
            if self.suffix:
                text = text.removesuffix(self.suffix).rstrip()
            if not NUMBER.fullmatch(text):
                raise ValueError(f"{self.name} must be {self.accepted_in('en')}, not {value[:40]!r}")
            number = float(text) if "." in text else int(text)
        if not self.minimum <= number <= self.maximum or (self.whole and number != int(number)):
            raise ValueError(f"{self.name} must be {self.accepted_in('en')}")
        return int(number) if number == int(number) else float(number)

    def holds(self, value: Value) -> bool:
        """Whether a value is within the bounds."""
        return self.optional if value is None else self.minimum <= value <= self.maximum

    def meaning_in(self, language: str) -> str:
        """What it limits, in `fr` or `en`."""
        return self.meaning_fr if language == "fr" else self.meaning

    def unit_in(self, language: str) -> str:
        """Its unit, in `fr` or `en`."""
        return (self.unit_fr if language == "fr" else "") or self.unit

    def accepted_in(self, language: str) -> str:
        """The bounds in words, in `fr` or `en`, for error messages and the docs table."""
        if language == "fr":
            words = f"un {'entier' if self.whole else 'nombre'} de {self.minimum} à {self.maximum}"
            fine, none = "convient", "`none` ou"
        else:
            words = f"a {'whole ' if self.whole else ''}number from {self.minimum} to {self.maximum}"
            fine, none = "is fine", "`none` or"
        if self.suffix:
            words += f" (`{self.default}{self.suffix}` {fine})"
        return f"{none} {words}" if self.optional else words


CATALOGUE: tuple[Limit, ...] = (
    Limit(
        "MAX_CONCURRENT_BOTS", MAX_CONCURRENT_BOTS, "bots", "system", 0, 1_000_000,
        "Bots running at once, all users together; 0 refuses every start but a replacement.",
        "Bots actifs en même temps, tous utilisateurs confondus ; 0 refuse tout démarrage sauf un remplacement.",
        step=10,
    ),
    Limit(
        "MAX_BOTS_PER_USER", MAX_BOTS_PER_USER, "bots", "user", 0, 10_000,
        "Bots running at once for one user; 0 suspends.",
        "Bots actifs en même temps pour un utilisateur ; 0 suspend.",
    ),
    Limit(
        "MAX_TRADES_PER_DAY", MAX_TRADES_PER_DAY, "trades", "user", 0, 10_000_000,
        "Trades of one user a day, from midnight in LIMITER_TIMEZONE; a trade that closes a position is never refused.",
        "Trades d'un utilisateur par jour, dès minuit dans LIMITER_TIMEZONE ; un trade qui ferme une position n'est "
        "jamais refusé.",
    ),
    Limit(
        "ALERT_THRESHOLD", ALERT_THRESHOLD, "%", "system", 1, 99,
        "Percentage of MAX_CONCURRENT_BOTS from which the operator is alerted.",
        "Pourcentage de MAX_CONCURRENT_BOTS à partir duquel l'exploitant est alerté.", suffix="%",
    ),
    Limit(
        "WEBSOCKET_RECONNECT", WEBSOCKET_RECONNECT, "s", "system", 0.1, 3600,
        "Seconds a bot waits before it reconnects its feed; told to the bots.",
        "Secondes qu'un bot attend avant de reconnecter son flux ; transmis aux bots.",
        suffix="s", whole=False, step=0.5,
    ),
    Limit(
        "MAX_TOKENS_PER_MINUTE", MAX_TOKENS_PER_MINUTE, "tokens", "system", 0, 10_000_000,
        "Tokens of the feed in any 60 s, all bots together.",
        "Tokens du flux sur 60 s glissantes, tous bots confondus.",
    ),
    Limit(
        "MAX_SIGNALS_PER_MINUTE", MAX_SIGNALS_PER_MINUTE, "signals", "system", 0, 10_000_000,
        "Signals in any 60 s, all bots together.",
        "Signaux sur 60 s glissantes, tous bots confondus.", unit_fr="signaux",
    ),
    Limit(
        "MAX_SIGNALS_PER_MINUTE_PER_USER", MAX_SIGNALS_PER_MINUTE_PER_USER, "signals", "user", 0, 10_000_000,
        "Signals of one user in any 60 s.",
        "Signaux d'un utilisateur sur 60 s glissantes.", optional=True, unit_fr="signaux",
    ),
    Limit(
        "BOT_LEASE_SECONDS", BOT_LEASE_SECONDS, "s", "session", 5, 86_400,
        "Seconds a bot keeps its slot without a heartbeat; a new length reaches a session with its next heartbeat.",
        "Secondes pendant lesquelles un bot garde sa place sans battement ; une nouvelle durée vaut dès le prochain.",
        suffix="s",
    ),
    Limit(
        "RESERVED_SLOTS", RESERVED_SLOTS, "bots", "system", 0, 1_000_000,
        "Slots of MAX_CONCURRENT_BOTS that only users of the reserve get; above it, nobody else starts.",
        "Places de MAX_CONCURRENT_BOTS gardées pour les utilisateurs de la réserve ; au-delà, eux seuls démarrent.",
    ),
    Limit(
        "MAX_STARTS_PER_MINUTE", MAX_STARTS_PER_MINUTE, "starts", "system", 0, 10_000_000,
        "Starts in any 60 s, all bots together; replacements and repeated requests do not count.",
        "Démarrages sur 60 s glissantes, tous bots confondus ; remplacements et demandes répétées ne comptent pas.",
        optional=True, unit_fr="démarrages",
    ),
    Limit(
        "MAX_CPU_PERCENT", MAX_CPU_PERCENT, "%", "system", 1, 100,
        "CPU of the box, mean of a minute, above which new starts are refused.",
        "CPU de la machine, moyenne d'une minute, au-dessus de laquelle les nouveaux démarrages sont refusés.",
        optional=True,
    ),
    Limit(
        "MAX_RAM_PERCENT", MAX_RAM_PERCENT, "%", "system", 1, 100,
        "RAM of the box, mean of a minute, above which new starts are refused.",
        "RAM de la machine, moyenne d'une minute, au-dessus de laquelle les nouveaux démarrages sont refusés.",
        optional=True,
    ),
)  # fmt: skip

LIMITS: dict[str, Limit] = {limit.name: limit for limit in CATALOGUE}
