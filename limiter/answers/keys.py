"""Keys, never with their secret but for the one answer that makes it."""

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from limiter.answers.parts import Ok


class KeyBody(Struct):
    scope: Literal["bots", "admin:read", "admin:write"]
    name: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[\w .:@/-]*$")] = ""


class KeyRow(Struct):
    id: str
    name: str
    scope: str
    created_at: str
    revoked_at: str | None


class KeysAnswer(Ok):
    keys: list[KeyRow]


class NewKeyAnswer(Ok):
    key: str
    id: str


class KeyAnswer(Ok):
    key: KeyRow | None
