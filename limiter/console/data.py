"""What pages know: rows of the database through read-only queries, and the live figures of the limiter.

Promises: a read is one short transaction; live figures are asked for at most once a second a process and key, and the
last good ones are kept with their age when the limiter stops answering. Raises StoreError, SQLAlchemyError, Refused.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import streamlit as st
from sqlalchemy import Connection, Engine

from limiter import config
from limiter.answers.capacity import StatsAnswer
from limiter.client import Admin, Refused
from limiter.console.kit.words import language, view
from limiter.console.sign_in.sign_ins import SignIn
from limiter.store.engine import open_reader, reading
from limiter.store.location import named_path
from limiter.store.read import history as stored
from limiter.store.read import limit_use
from limiter.units import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    import pandas as pd

P = ParamSpec("P")
T = TypeVar("T")
LIVE_SECONDS = 1.0
ASK_SECONDS = 2.0
STALE_SECONDS = 15  # three snapshots of 5 s
LONG_MS = DAY_MS  # ranges beyond it are kept for a time: what five minutes add to them is narrower than a pixel
KEPT_SECONDS = 300


@st.cache_resource(show_spinner=False)
def settings() -> config.Config:
    """The configuration, as this process read it."""
    return config.read()


@st.cache_resource(show_spinner=False, max_entries=2, on_release=Engine.dispose)
def _engine(url: str, inode: int) -> Engine:
    return open_reader(url)


_named = functools.cache(named_path)  # to take a URL apart and to follow each link of its path took half of a read


def _place() -> tuple[str, int]:
    """Where the database is; another number where another file lies there, as after a restore."""
    url = str(settings().database_url)
    path = _named(url)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return url, path.stat().st_ino if path is not None else 0
    return url, 0


def read(query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the query finds, in a transaction of its own. A restored database, a new file, is opened anew."""
    with reading(_engine(*_place())) as tx:
        return query(tx, *args, **kwargs)


def table(
    query: Callable[Concatenate[Connection, P], Iterable[Any]], *args: P.args, **kwargs: P.kwargs
) -> "pd.DataFrame":
    """The rows that the query finds, as a DataFrame."""
    return as_table(read(query, *args, **kwargs))


def as_table(rows: Iterable[Any]) -> "pd.DataFrame":
    """Rows of a query, mappings or dataclasses as a DataFrame: the one place where they become one.

    Whole milliseconds named `at` become tz-aware UTC; whole numbers stay whole where some are None. Without rows there
    are no columns.
    """
    import pandas as pd  # 90 MB and a second, which a page without a table does not pay

    found = pd.DataFrame({name: _column(values) for name, values in _by_name(list(rows)).items()})
    if "at" in found and pd.api.types.is_integer_dtype(found["at"]):
        found["at"] = pd.to_datetime(found["at"], unit="ms", utc=True)
    return found


def _column(values: list[Any]) -> Any:
    import pandas as pd

    known = {type(value) for value in values}
    if known == {int, type(None)}:
        return pd.array(values, dtype="Int64")
    return [float("nan")] * len(values) if known == {type(None)} else values


def _by_name(rows: list[Any]) -> dict[str, list[Any]]:
    if rows and hasattr(rows[0], "_fields"):  # of one query: a mapping for each took as long as the query
        return dict(zip(rows[0]._fields, map(list, zip(*rows, strict=True)), strict=True))
    named: list[Mapping[str, Any]] = [row if isinstance(row, Mapping) else asdict(row) for row in rows]
    return {name: [row.get(name) for row in named] for name in dict.fromkeys(name for row in named for name in row)}


@dataclass(frozen=True, slots=True)
class History:
    """A range in buckets `width_ms` wide, from snapshots of `step` seconds.

    bots: at, low, mean, high, limit, cpu, ram, tokens, signals, starts, refused; refused: at, reason, n (one row each).
    """

    bots: "pd.DataFrame"
    refused: "pd.DataFrame"
    step: int
    width_ms: int


def _history(series: stored.Series) -> History:
    sums = [sum(series.refused.get(row.at, {}).values()) for row in series.rows]
    refused = [{"at": at, "reason": reason, "n": n} for at, one in series.refused.items() for reason, n in one.items()]
    return History(as_table(series.rows).assign(refused=sums), as_table(refused), series.step, series.bucket_ms)


def _hours_used(tx: Connection, start: int, end: int, shift_ms: int) -> "pd.DataFrame":
    hours = stored.hours(tx, start, end, shift_ms)
    return as_table(hours).join(as_table(limit_use.of_hours(tx, hours)).add_suffix("_share"))


RANGED: dict[str, Callable[..., Any]] = {
    "history": lambda tx, start, end: _history(stored.series(tx, start, end)),
    "hours": lambda tx, start, end, shift_ms: as_table(stored.hours(tx, start, end, shift_ms)),
    "hours_used": _hours_used,
    "refused_by_hour": stored.refused_by_hour,
    "load": stored.load,
}


@st.cache_data(ttl=KEPT_SECONDS, refresh_mode="background", max_entries=40, max_size="16mb", show_spinner=False)
def _kept(name: str, place: tuple[str, int], start: int, end: int, *more: int) -> Any:
    with reading(_engine(*place)) as tx:
        return RANGED[name](tx, start, end, *more)


def _ranged(name: str, start: int, end: int, *more: int) -> Any:
    """What is known of a range; of a long one, what was known minutes ago is shown while it is read again."""
    if end - start <= LONG_MS:
        return read(RANGED[name], start, end, *more)
    grid = KEPT_SECONDS * 1000
    return _kept(name, _place(), start - start % grid, -(-end // grid) * grid, *more)


def history(start: int, end: int) -> History:
    """The range in at most 600 buckets."""
    found: History = _ranged("history", start, end)
    return found


def hours(start: int, end: int) -> "pd.DataFrame":
    """The range in hours of the view's wall clock: in a zone of half an hour, midnight is within one of UTC's."""
    found: pd.DataFrame = _ranged("hours", start, end, _shift_ms(end))
    return found


def hours_used(start: int, end: int) -> "pd.DataFrame":
    """The same hours, and `mean_share` and `high_share`, how much was used of the limit of each time (1: all; NaN: it
    was 0)."""
    found: pd.DataFrame = _ranged("hours_used", start, end, _shift_ms(end))
    return found


def refused_by_hour(start: int, end: int) -> Mapping[int, Mapping[str, int]]:
    """The refusals of the same hours, by hour and reason."""
    found: Mapping[int, Mapping[str, int]] = _ranged("refused_by_hour", start, end, _shift_ms(end))
    return found


def _shift_ms(at: int) -> int:
    offset = view().local(at).utcoffset() or timedelta()
    return -round(offset / timedelta(milliseconds=1)) % HOUR_MS


def load(start: int, end: int) -> stored.Load:
    """How heavy the range was."""
    found: stored.Load = _ranged("load", start, end)
    return found


@st.cache_resource(show_spinner=False, max_entries=20, on_release=Admin.close)
def _admin(url: str, key: str, lang: str, timeout: float) -> Admin:
    return Admin(url, key, language=lang, timeout=timeout)


def limiter_url() -> str:
    """Where the limiter is."""
    return settings().limiter_url


def admin(sign_in: SignIn, timeout: float = 10.0) -> Admin:
    """The limiter's API with the signed-in key; its sentences in the language of the run."""
    return _admin(limiter_url(), sign_in.key, language(), timeout)


@dataclass(frozen=True, slots=True)
class Live:
    """The limiter's figures of one instant, `age_seconds` old; `error` where it does not answer any more."""

    stats: StatsAnswer | None
    age_seconds: float
    error: Refused | None = None

    @property
    def stale(self) -> bool:
        """Whether they are older than three ticks."""
        return self.stats is None or self.age_seconds > STALE_SECONDS


@st.cache_resource(show_spinner=False)
def _last() -> dict[tuple[str, str], tuple[float, StatsAnswer | None, Refused | None, float]]:
    return {}


def live(sign_in: SignIn) -> Live:
    """The figures now, or the last good ones, with guards in the language of the run: those of another language only
    where the limiter does not answer. Raises Refused where the key is no longer good."""
    kept, now, key = _last(), time.monotonic(), (sign_in.id, language())
    asked_at, stats, error, good_at = kept.get(key, (-9.0, None, None, now))
    if key not in kept:
        _, stats, error, good_at = next(
            (row for of, row in kept.items() if of[0] == sign_in.id), (0, stats, error, now)
        )
    if now - asked_at > LIVE_SECONDS:
        try:
            stats, error, good_at = admin(sign_in, ASK_SECONDS).stats(), None, time.monotonic()
        except Refused as refused:
            if refused.status in (401, 403):
                kept.pop(key, None)
                raise
            error = refused
        while len(kept) > 100:
            kept.pop(next(iter(kept)), None)
        kept[key] = (now, stats, error, good_at)
    return Live(stats, time.monotonic() - good_at, error)
