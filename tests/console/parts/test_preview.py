"""What the preview says of the week that it decided again."""

from limiter.answers.limits import Replay
from limiter.console.parts.limits.preview import replay_text
from tests.console.conftest import Speak


def test_a_week_that_was_cut_is_told_with_its_cause(speak: Speak) -> None:
    speak("en")
    whole = "The 1,200 starts of the last 7 days, decided again: 3 refused then, **5** under these values"
    assert replay_text(Replay(7, 1200, 3, 5, 2)) == f"{whole} (+2, 2 users affected)."
    cut = replay_text(Replay(2, 190_000, 3, 3, 0))
    assert "starts of the last 2 days" in cut
    assert cut.endswith(
        "(0, no difference). The week had more starts than are decided again while you wait (200,000), so it is cut to"
        " whole days."
    )
    assert "starts of the last 1 day," in replay_text(Replay(1, 200_001, 3, 3, 0))
    speak("fr")
    assert "des dernières 24 heures, redécidés" in (told := replay_text(Replay(1, 200_001, 3, 3, 0)))
    assert told.endswith("elle est réduite à des jours entiers.")
