"""Limits as rows: in force, configured beneath them, users' own, and what a start makes of them."""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from limiter.rules.limits import Limits, Override, Setting
from limiter.rules.records import Version
from limiter.store import schema
from limiter.store.rows import limit_value
from limiter.system_limits import LIMITS, Value

MAKES_ROOM = {"MAX_CONCURRENT_BOTS", "RESERVED_SLOTS"}


def read(connection: Connection) -> Limits | None:
    """The limits in force with what is configured beneath them; None before the first start."""
    settings, configured = {}, {}
    for row in connection.execute(select(schema.limits)):
        if row.name in LIMITS:
            value, beneath = limit_value(row.name, row.value), limit_value(row.name, row.configured)
            settings[row.name] = Setting(value, row.source, row.changed_at, row.changed_by)
            configured[row.name] = Setting(beneath, row.configured_source)
    if len(settings) < len(LIMITS):
        return None
    return Limits(_version(connection), settings, configured, overrides(connection), _room_since(connection))


def overrides(connection: Connection) -> dict[str, Override]:
    """Users' own limits, those that are over included, newest first."""
    table = schema.overrides
    return {
        row.user_id: Override(
            json.loads(row.limits), row.reason, row.until, row.changed_at, row.changed_by, bool(row.reserve)
        )
        for row in connection.execute(select(table).order_by(table.c.changed_at.desc()))
    }


def read_at_start(connection: Connection, configured: Mapping[str, Setting], now: int) -> tuple[Limits, list[Version]]:
    """The limits in force, and the version to record where environment or defaults say something new.

    A live value that is out of its bounds by now (they are narrower than they were) does not hold any more.
    """
    settings, stored = dict(configured), {}
    for row in connection.execute(select(schema.limits)):
        if row.name not in LIMITS:
            continue
        value = limit_value(row.name, row.value)
        stored[row.name] = (value, row.source)
        changed = (row.changed_at, row.changed_by)
        if row.source in ("live", "window") and LIMITS[row.name].holds(value):
            settings[row.name] = Setting(value, row.source, *changed)
        elif (configured[row.name].value, configured[row.name].source) == stored[row.name]:
            settings[row.name] = Setting(configured[row.name].value, configured[row.name].source, *changed)
    version, room_since = _version(connection), _room_since(connection)
    moved = [n for n, setting in settings.items() if stored.get(n) != (setting.value, setting.source)]
    versions = []
    if moved:
        moves: tuple[tuple[str, Value, Value], ...] = tuple(
            (n, stored[n][0] if n in stored else None, settings[n].value) for n in moved
        )
        in_force = {n: (setting.value, setting.source) for n, setting in settings.items()}
        version += 1
        if MAKES_ROOM & set(moved):
            room_since = now
        versions = [Version(version, now, "start", "start", "", None, moves, in_force)]
    return Limits(version, settings, configured, overrides(connection), room_since), versions


def _version(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(schema.limit_versions.c.version), 0))).scalar_one())


def _room_since(connection: Connection) -> int:
    return connection.execute(select(schema.fleet.c.room_since)).scalar() or 0
