"""What pages know: rows of the database through read-only queries, and the live figures of the limiter.

Promises: a read is one short transaction; live figures are asked for at most once a second a process and key, and the
last good ones are kept with their age when the limiter stops answering. Raises StoreError, SQLAlchemyError, Refused.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import streamlit as st
from sqlalchemy import Connection, Engine

from limiter import config
from limiter.answers.capacity import StatsAnswer
from limiter.client import Admin, Refused
from limiter.console.kit.words import language
from limiter.console.sign_in.sign_ins import SignIn
from limiter.store.engine import open_reader, reading, sqlite_path

P = ParamSpec("P")
T = TypeVar("T")
LIVE_SECONDS = 1.0
ASK_SECONDS = 2.0
STALE_SECONDS = 15  # three snapshots of 5 s


@st.cache_resource(show_spinner=False)
def settings() -> config.Config:
    """The configuration, as this process read it."""
    return config.read()


@st.cache_resource(show_spinner=False, max_entries=2, on_release=Engine.dispose)
def _engine(url: str, inode: int) -> Engine:
    return open_reader(url)


def read(query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the query finds, in a transaction of its own. A restored database, a new file, is opened anew."""
    url = settings()["LIMITER_DATABASE_URL"]
    path = sqlite_path(url)
    inode = path.stat().st_ino if path is not None and path.exists() else 0
    with reading(_engine(url, inode)) as tx:
        return query(tx, *args, **kwargs)


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
def _last() -> dict[str, tuple[float, StatsAnswer | None, Refused | None, float]]:
    return {}


def live(sign_in: SignIn) -> Live:
    """The figures now, or the last good ones. Raises Refused where the key is no longer good."""
    kept, now = _last(), time.monotonic()
    asked_at, stats, error, good_at = kept.get(sign_in.id, (-9.0, None, None, now))
    if now - asked_at > LIVE_SECONDS:
        try:
            stats, error, good_at = admin(sign_in, ASK_SECONDS).stats(), None, time.monotonic()
        except Refused as refused:
            if refused.status in (401, 403):
                kept.pop(sign_in.id, None)
                raise
            error = refused
        while len(kept) > 100:
            kept.pop(next(iter(kept)), None)
        kept[sign_in.id] = (now, stats, error, good_at)
    return Live(stats, time.monotonic() - good_at, error)
