"""A refusal as it is kept, and as its row has it. Instants are UTC milliseconds."""

from msgspec import Struct

from limiter.rules.records.sessions import Facts
from limiter.system_limits import Value


class RefusalRecord(Struct, frozen=True):
    """A refusal as it is kept: which limit, its value, the count it was compared with, the version. None: no limit."""

    request_id: str
    at: int
    user_id: str | None
    bot_id: str | None
    reason: str
    limit: str | None
    value: Value
    count: int | None
    version: int
    facts: Facts | None


class KeptRefusal(Struct, frozen=True):
    """A refusal as its row has it: the row's number, and how many it stands for. `more`: it is no row of its own, but
    the latest that goes into a row which is there already, `repeats` of them."""

    number: int
    refusal: RefusalRecord
    repeats: int
    more: bool = False
