"""The keys of the API."""

from sqlalchemy import Connection, select

from limiter.rules.records import Key
from limiter.store import schema


def keys(tx: Connection) -> list[Key]:
    """Every key, oldest first, revoked ones too; secrets are not kept, only their digests."""
    columns = schema.keys.c
    found = select(columns.id, columns.name, columns.scope, columns.digest, columns.created_at, columns.revoked_at)
    return [Key(*row) for row in tx.execute(found.order_by(columns.created_at))]
