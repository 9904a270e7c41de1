"""Answers that are taken away: as JSON, or one table of them as CSV."""

from limiter.answers.csv_text import TABLES, as_csv
from limiter.answers.parts import Ok
from limiter.http.call import Call
from limiter.http.wire import Answer, ok

FORMATS = ("json", "csv")
CSV = b"text/csv; charset=utf-8"


def exported(call: Call, answer: Ok) -> Answer:
    """The answer as `?format=` and, of several tables, `?table=` ask for it."""
    form, table = call.wanted_choice("format", FORMATS), call.wanted_choice("table", TABLES[type(answer)])
    return Answer(200, as_csv(answer, table).encode(), CSV) if form == "csv" else ok(answer)
