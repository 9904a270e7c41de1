"""The one palette: what each colour means. `.streamlit/config.toml` gives Streamlit the same (a test compares them).

Okabe and Ito's colours, told apart by all kinds of eyes; ink for data, tints for statuses behind it.
"""

from dataclasses import dataclass

from limiter.rules.refusals import RECORDED

BLUE, SKY, GREEN, ORANGE, VERMILION, PINK = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
CATEGORIES = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION)


@dataclass(frozen=True, slots=True)
class Status:
    """A status of the capacity: its colour, Streamlit's name for it, its icon, and the shares of the limit it spans."""

    colour: str
    named: str
    icon: str
    low: float
    high: float


STATUSES = {
    "LOW": Status(SKY, "blue", ":material/radio_button_unchecked:", 0.0, 0.5),
    "HEALTHY": Status(GREEN, "green", ":material/check:", 0.5, 0.8),
    "WARNING": Status(ORANGE, "orange", ":material/warning:", 0.8, 1.0),
    "FULL": Status(VERMILION, "red", ":material/block:", 1.0, 1.15),
}
ADMITTED = GREEN
REASONS = {name: recorded.tint for name, recorded in RECORDED.items()}


@dataclass(frozen=True, slots=True)
class Tones:
    """What differs between light and dark: ink for data, quiet for what is read second (4.5:1 and more)."""

    ink: str
    quiet: str
    accent: str
    cpu: str
    ram: str
    band: float
    empty: str


LIGHT = Tones("#0F172A", "#4B5563", BLUE, BLUE, "#B85000", 0.15, "#E9EDF2")
DARK = Tones("#E8ECF2", "#AEB8C6", "#7CC4F0", "#7CC4F0", "#F0A35E", 0.24, "#1A212C")


def tones(*, dark: bool) -> Tones:
    """Those of the theme."""
    return DARK if dark else LIGHT
