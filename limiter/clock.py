"""Instants as texts."""

from datetime import UTC, datetime


def rfc3339(at: int) -> str:
    """An instant (UTC ms) as RFC 3339 in UTC, with milliseconds and Z."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
