"""The picture of the imports says each thing once, and the figures count what they say."""

from pathlib import Path

from tests.house.figures import measured
from tests.house.picture import boxes, direct, picture, reachable, told_once


def test_an_arrow_that_a_longer_way_says_is_left_out() -> None:
    assert told_once({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_layers_that_import_each_other_are_one_box() -> None:
    assert boxes({"a": {"b"}, "b": {"a", "c"}, "c": set()}) == {"a ⇄ b": {"c"}, "c": set()}


def test_nothing_is_lost_by_drawing_less() -> None:
    whole = boxes(direct())
    assert reachable(told_once(whole)) == reachable(whole)
    assert "    committer --> store" in picture().splitlines()


def test_the_figures_of_a_checkout(tmp_path: Path) -> None:
    for folder in ("pages", "limiter"):
        (tmp_path / folder).mkdir()
    (tmp_path / "console.py").write_text("\n" * 301)
    (tmp_path / "limiter" / "one.py").write_text(
        'def good(rows):\n    """Seconds of it. Raises KeyError."""\n    raise KeyError(rows["a"])\n\n\n'
        'def silent(rows):\n    rows["b"] = rows.get("c")\n    raise ValueError\n\n\ndef _hidden():\n    """Bytes."""\n'
    )
    assert list(measured(tmp_path).values()) == [2, 313, 1, 2, 2, 1, 1, 2, 1]
