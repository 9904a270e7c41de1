"""CSV: as many rows as the table, and nothing that a spreadsheet would run."""

import csv
import io

from limiter.console.kit.tables import csv_text


def test_rows_come_back_as_they_went() -> None:
    rows: list[dict[str, object]] = [{"user": 'a "b", c', "n": 1}, {"user": "é\n", "n": None}]
    assert list(csv.DictReader(io.StringIO(csv_text(rows)))) == [
        {"user": 'a "b", c', "n": "1"},
        {"user": "é\n", "n": ""},
    ]
    assert csv_text([]) == ""


def test_a_formula_is_text() -> None:
    assert "'=1+1" in csv_text([{"user": "=1+1"}]) and "-5" in csv_text([{"n": -5}])
