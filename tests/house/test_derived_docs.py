"""The docs say what the code does."""

from tests.house.derived_docs import derived


def test_derived_tables_are_fresh() -> None:
    stale = [path.name for path, wanted in derived().items() if path.read_text(encoding="utf-8") != wanted]
    assert not stale, "run `make docs`"
