"""What bodies and answers are made of: texts and numbers with their grammar, values of limits, a change's reason."""

from typing import Annotated, Any

import msgspec
from msgspec import Struct

from limiter.system_limits import CATALOGUE

IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,63}$"
# `$` lets a newline pass in Python; the schema shows the pattern of the contract.
Identifier = (
    Annotated[str, msgspec.Meta(pattern=IDENTIFIER[:-1] + r"(?![\s\S])", extra_json_schema={"pattern": IDENTIFIER})]
    | Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
)
# Not blank, and no NUL, which PostgreSQL keeps in no text.
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Seen = Annotated[int, msgspec.Meta(ge=0, description="the version that the caller saw; refused where another stands")]
SessionId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Wanted = Annotated[
    Any, msgspec.Meta(description="a number or one of the table's spellings; null takes the live change back")
]
Changes = Annotated[
    dict[str, Wanted], msgspec.Meta(extra_json_schema={"propertyNames": {"enum": [one.name for one in CATALOGUE]}})
]
LimitValues = dict[str, int | float | None]


class Ok(Struct):
    """A 2xx answer; wire.ok puts `"success": true` before its fields."""


class ReasonBody(Struct):
    reason: Reason


class ClearBody(Struct):
    reason: Reason
    version: Seen | None = None
