"""One palette: what the charts have and what Streamlit is configured with agree, and can be read on both grounds."""

import tomllib
from pathlib import Path

import pytest

from limiter.console import theme

CONFIG = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text())["theme"]


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #RRGGBB."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_streamlit_has_the_same_colours() -> None:
    assert CONFIG["primaryColor"] == theme.BLUE
    assert CONFIG["chartCategoricalColors"] == list(theme.CATEGORIES)
    for status in theme.STATUSES.values():
        assert CONFIG[f"{status.named}Color"] == status.colour


@pytest.mark.parametrize(("tones", "name"), [(theme.LIGHT, "light"), (theme.DARK, "dark")])
def test_what_is_read_stands_out(tones: theme.Tones, name: str) -> None:
    ground = CONFIG[name]["backgroundColor"]
    assert contrast(tones.ink, ground) > 12
    for colour in (
        tones.quiet,
        tones.accent,
        *(CONFIG[name][f"{one.named}TextColor"] for one in theme.STATUSES.values()),
    ):
        assert contrast(colour, ground) >= 4.5, colour
    for colour in (tones.cpu, tones.ram):
        assert contrast(colour, ground) >= 3, colour
