"""The figures that are promised, declared: what each is, the goal, and what is not acceptable."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One promised figure. `more` says whether more is better; None for a goal: shown, not judged."""

    name: str
    title: str
    unit: str
    goal: float | None
    floor: float | None
    more: bool = True

    def verdict(self, value: float) -> str:
        """`goal`, `floor` (between goal and floor) or `below`; empty where nothing is promised."""
        if self.goal is None or self.floor is None:
            return ""
        sign = 1 if self.more else -1
        if sign * value >= sign * self.goal:
            return "goal"
        return "floor" if sign * value >= sign * self.floor else "below"


FIGURES: tuple[Figure, ...] = (
    Figure("starts_1", "durable starts, 1 client", "of the no-op", 0.30, 0.15),
    Figure("starts_16", "durable starts, 16 clients", "of the no-op", 0.70, 0.30),
    Figure("starts_64", "durable starts, 64 clients", "of the no-op", 1.10, 0.60),
    Figure("starts_256", "durable starts, 256 clients", "of the no-op", 1.40, 0.80),
    Figure("p99_64", "p99 of a start, 64 clients", "of the no-op's p99", 1.0, 2.5, more=False),
    Figure("refusals_64", "refusals of a full server, 64 clients", "of the no-op", 1.5, 0.8),
    Figure("beats_64", "heartbeats, 64 clients", "of the no-op", None, None),
    Figure("slow_64", "durable starts, every fsync 2 ms more, 64 clients", "of the no-op", 0.60, 0.35),
    Figure("slow_256", "durable starts, every fsync 2 ms more, 256 clients", "of the no-op", 1.10, 0.65),
    Figure("fastapi_redis_64", "durable starts over FastAPI + Redis (fsync always), 64 clients", "×", 7, 4),
    Figure("fastapi_redis_1", "the same, 1 client", "×", 1.1, 0.8),
    Figure("flask_redis_64", "durable starts over Flask + Redis (fsync always), 64 clients", "×", None, None),
    Figure("flask_sqlite_64", "durable starts over Flask + SQLAlchemy + SQLite, 64 clients", "×", None, None),
    Figure("decisions_ended", "a decision with a long history over one with none", "×", 1.10, 1.3, more=False),
    Figure("decisions_active", "a decision with 10 000 bots over one with 200", "×", 1.10, 1.3, more=False),
    Figure("beats_500", "a batch of 500 heartbeats, no HTTP", "ms", 0.5, 2, more=False),
    Figure("beats_one", "500 heartbeats in one request, with what their bots cost, no HTTP", "ms", 1, 2, more=False),
    Figure("probe", "p99 of /livez while another process holds the write lock, 64 clients", "ms", 5, 15, more=False),
    Figure("probe_tabs", "the same while four tabs of the console redraw", "ms", 5, 15, more=False),
    Figure("limiter_mb", "memory of the limiter after a million decisions, 200 bots", "MB", 80, 80, more=False),
    Figure("console_mb", "memory of the console after five minutes of four tabs", "MB", 300, 300, more=False),
    Figure("chart", "chart query over 90 days", "ms", 5, 50, more=False),
    Figure("page", "all queries of the Overview page", "ms", 30, 100, more=False),
    Figure("sample", "one sample with its rollups, durable", "ms", 1, 5, more=False),
    Figure("over", "bots admitted above the cap under all that", "bots", 0, 0, more=False),
)  # fmt: skip
