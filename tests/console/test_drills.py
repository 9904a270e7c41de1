"""The exercises pass under any limits, by the limiter's own rules, and leave nothing."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from limiter.console.drills import DRILLS, one_too_many
from limiter.rules.limits import Limits, Setting, defaults
from limiter.system_limits import Value


def limits(**values: Value) -> Limits:
    settings: Mapping[str, Setting] = {
        name: replace(one, value=values.get(name, one.value)) for name, one in defaults().items()
    }
    return Limits(1, settings, defaults())


@pytest.mark.parametrize("name", [name for name, _ in DRILLS])
@pytest.mark.parametrize("maximum", [0, 1, 9, 200, 50_000])
def test_every_exercise_passes(name: str, maximum: int) -> None:
    steps = dict(DRILLS)[name](limits(MAX_CONCURRENT_BOTS=maximum), "en")
    assert all(step.right for step in steps), steps
    assert steps[-1].came == "0 sessions left"


def test_the_refusal_is_told_word_for_word() -> None:
    steps = one_too_many(limits(), "fr")
    assert "Serveur complet (200/200 bots actifs). Réessaie dans quelques minutes. Retry-After 30" in steps[1].came
