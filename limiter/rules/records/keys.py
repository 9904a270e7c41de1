"""A key with what it opens, and what was done with it. Instants are UTC milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Scope = Literal["bots", "admin:read", "admin:write"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: never its secret."""

    id: str
    name: str
    scope: Scope
    digest: str
    created_at: int
    revoked_at: int | None = None

    @property
    def actor(self) -> str:
        """How histories name who used it."""
        return f"{self.name}#{self.id}" if self.name else self.id

    def carries(self, scope: str) -> bool:
        """Whether it gives this scope; `any` is bots or admin:read."""
        return self.scope in ("admin:write", scope) or scope == "any"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What a person did: actor (key id), action, its object, details, reason."""

    at: int
    actor: str
    action: str
    target: str
    reason: str
    detail: Mapping[str, Any]
