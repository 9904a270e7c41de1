"""How the slots taken went between two snapshots: exact extremes and times in each status, cut into slices of 5 s.

The state notes a `Point` whenever the number of bots or the limit changes. A point holds until the next one; several
in one instant last no time, but are among the extremes: an alert that fired on one is not denied by the history.
Of hundreds in one instant a few tell all (`thin`): what is kept grows with time, not with starts.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from limiter.rules.capacity import Capacity, Status
from limiter.rules.records import Slice
from limiter.units import HOUR_MS

SLICE_MS = 5_000
MOST_MS = 6 * HOUR_MS  # of a time in which nothing changed; what lies before it is left out, as a gap
STATUSES = tuple(Status)
GAP = -1
KEPT = 3  # points of one instant and limit


class Point(Struct, frozen=True):
    """From this instant (UTC ms) on so many slots are taken, of so many; `GAP` of `GAP`: from here on nothing is known,
    and the next point may lie anywhere, for the clock was moved."""

    at: int
    bots: int
    limit: int

    @property
    def status(self) -> int:
        """The index of its status in `STATUSES`."""
        return STATUSES.index(Capacity(self.bots, self.limit).status)


def thin(course: list[Point]) -> None:
    """Of the newest points of one instant and limit keep the lowest, the highest and the last: no slice differs."""
    if len(course) <= KEPT or not _beside(course[-1 - KEPT], course[-1]):
        return
    begin, last = len(course) - 1, course[-1]
    while begin and _beside(course[begin - 1], last):  # between two of one limit may be one of another
        begin -= 1
    if len(course) - begin > KEPT:
        levels = sorted(course[begin:], key=lambda point: point.bots)
        course[begin:] = [levels[0], levels[-1], last]


def _beside(point: Point, other: Point) -> bool:
    return point.at == other.at and point.limit == other.limit


def slices(points: Iterable[Point], end: int, counts: Mapping[tuple[str, int], int]) -> tuple[Slice, ...]:
    """The course over [first point, end], and what was counted: {(figure, beginning of its 5 s): n}, in order.

    A figure from a time before the first point stands among the bots of that point. Needs a point.
    """
    parts: dict[int, list[tuple[Point, int]]] = {}
    first: Point | None = None
    for course, over in _courses(points, end):
        first = first or course[0]
        for point, until in zip(course, [*(later.at for _, later in pairwise(course)), over], strict=True):
            at = max(point.at, until - MOST_MS)
            while True:
                row = at - at % SLICE_MS
                ends = min(until, row + SLICE_MS)
                parts.setdefault(row, []).append((point if at == point.at else replace(point, at=at), ends - at))
                if ends == until:
                    break
                at = ends
    assert first is not None
    happened: dict[int, dict[str, int]] = {}
    for (figure, row), n in counts.items():
        if n:
            happened.setdefault(row, {})[figure] = n
    for row in happened.keys() - parts.keys():
        parts[row] = [(replace(first, at=row), 0)]
    return tuple(_slice(row, parts[row], happened.get(row, {})) for row in sorted(parts))


def _courses(points: Iterable[Point], end: int) -> Iterator[tuple[list[Point], int]]:
    """What is known in one piece, with the instant until which it is."""
    piece: list[Point] = []
    for point in points:
        if point.limit != GAP:
            piece.append(point)
        elif piece:
            course = _in_order(piece)
            yield course, max(point.at, course[-1].at)
            piece = []
    if piece:
        course = _in_order(piece)
        yield course, max(end, course[-1].at)


def _in_order(points: Iterable[Point]) -> list[Point]:
    """A lease that ended while nobody looked is noted late: no point is before the one noted before it."""
    course: list[Point] = []
    for point in points:
        late = course and point.at < course[-1].at
        course.append(replace(point, at=course[-1].at) if late else point)
    return course


def _slice(row: int, parts: list[tuple[Point, int]], counts: Mapping[str, int]) -> Slice:
    spent = [0, 0, 0, 0]
    statuses = [point.status for point, _ in parts]
    for status, (_, ms) in zip(statuses, parts, strict=True):
        spent[status] += ms
    worst = max(statuses)
    if any(spent) and not spent[worst]:  # reached and left within one instant: not nothing
        spent[worst] = 1
    high = max(point.bots for point, _ in parts)
    peak_at = max(point.at for point, _ in parts if point.bots == high)
    low = min(point.bots for point, _ in parts)
    return Slice(row, low, high, peak_at, parts[-1][0].limit, (spent[0], spent[1], spent[2], spent[3]), counts)
