"""What the pages of decisions say in words is so in the cases that a night's log does not reach."""

from limiter.answers.deciding import SizingLoad, Slots
from limiter.answers.limits import Replay
from limiter.console.parts.limits.preview import replay_text
from limiter.console.parts.sizing import _ranges
from tests.console.conftest import Speak


def test_as_many_refused_but_others_is_no_nothing(speak: Speak) -> None:
    speak("en")
    assert replay_text(Replay(7, 40, 3, 3, 2)).endswith("(0, 2 users affected).")
    assert replay_text(Replay(7, 40, 3, 3, 0)).endswith("(0, no difference).")
    assert replay_text(Replay(7, 40, 3, 4, 1)).endswith("(+1, 1 user affected).")
    speak("fr")
    assert "aucune différence" in replay_text(Replay(7, 40, 3, 3, 0))


def test_a_share_of_a_thousandth_is_not_drawn_as_none(speak: Speak) -> None:
    speak("en")
    for share, told in ((0.001, "0.1%"), (0.01, "1%"), (0.05, "5%")):
        rows = _ranges(share, Slots(9, 8), Slots(7, 6), Slots(11, 10), SizingLoad(5.0, 8.0))
        assert [row["what"] for row in rows][:2] == [f"at most {told} wait", f"at most {told} give up"]
