"""Lists come a page at a time: `limit` rows, and a `cursor` that leads to the next page."""

from limiter.http.call import Call
from limiter.store import read

PAGE = 50


def asked(call: Call) -> tuple[int | None, int]:
    """The cursor (None: from the newest on) and the size of the page that the query asks for."""
    before = call.wanted_number("cursor", 0, 2**53)
    return before, call.wanted_number("limit", 1, read.MAX_PAGE) or PAGE
