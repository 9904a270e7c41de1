"""What the charts of the pages draw, beside what the log says, in whichever zone and language somebody looks."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from streamlit.testing.v1 import AppTest

from tests.truth.answers import Said
from tests.truth.diary import HOUR, MINUTE, SECOND, STATUSES, Diary, status
from tests.truth.drawn import Chart, charts, ticks
from tests.truth.play import Play

DAY = 24 * HOUR
MONTHS = {"en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
          "fr": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc."}  # fmt: skip
WEEKDAYS = {"en": "Mon Tue Wed Thu Fri Sat Sun", "fr": "lun. mar. mer. jeu. ven. sam. dim."}
TITLES = {
    "en": {"capacity": ["time", "bots", "limit", "used", "refused"], "refusals": ["time", "reason", "refused"],
           "box": ["time", "CPU %", "RAM %"], "heat": ["day", "hour", "used", "hours seen"], "days": ["day", "state"],
           "bots": "bots", "refused": "refused", "no data": "no data", "later": "served later", "lost": "never served"},
    "fr": {"capacity": ["heure", "bots", "limite", "utilisé", "refus"], "refusals": ["heure", "motif", "refus"],
           "box": ["heure", "CPU %", "RAM %"], "heat": ["jour", "heure", "utilisé", "heures vues"],
           "days": ["jour", "état"], "bots": "bots", "refused": "refus", "no data": "pas de données",
           "later": "servies plus tard", "lost": "jamais servies"},
}  # fmt: skip
REASONS = {
    "en": {"server_full": "server full", "user_limit": "limit of the user", "daily_trades": "trades of the day used up",
           "token_rate": "too many tokens", "signal_rate": "too many signals", "paused": "starts were paused",
           "draining": "stopping or drained"},
    "fr": {"server_full": "serveur complet", "user_limit": "limite de l'utilisateur",
           "daily_trades": "trades du jour épuisés", "token_rate": "trop de tokens", "signal_rate": "trop de signaux",
           "paused": "démarrages en pause", "draining": "arrêt ou vidage en cours"},
}  # fmt: skip
LENGTHS = {60: "< 1 min", 300: "1 min – 5 min", 900: "5 min – 15 min", 1800: "15 min – 30 min", 3600: "30 min – 1 h",
           7200: "1 h – 2 h", 14_400: "2 h – 4 h", 28_800: "4 h – 8 h", 57_600: "8 h – 16 h", 86_400: "16 h – 24 h",
           259_200: "24 h – 3 d", 604_800: "3 d – 7 d"}  # fmt: skip


@dataclass(frozen=True)
class Viewer:
    """Who looks: on which wall clock, in which language."""

    zone: ZoneInfo
    language: str = "en"

    def local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / 1000, self.zone)

    def date(self, day: date) -> str:
        """24 Nov or 1er nov."""
        number = "1er" if (self.language, day.day) == ("fr", 1) else day.day
        return f"{number} {MONTHS[self.language].split()[day.month - 1]}"

    def stamp(self, at: int) -> str:
        """24 Nov 14:03."""
        return f"{self.date(self.local(at).date())} {self.local(at):%H:%M}"

    def tick(self, at: int) -> str:
        """14:03, and at midnight Tue 24 Nov."""
        local = self.local(at)
        weekday = WEEKDAYS[self.language].split()[local.weekday()]
        return f"{local:%H:%M}" if local.hour or local.minute else f"{weekday} {self.date(local.date())}"

    def number(self, value: float, decimals: int = 0) -> str:
        said = f"{value:.{decimals}f}"
        return said.replace(".", ",") if self.language == "fr" else said

    def percent(self, value: float, decimals: int = 1) -> str:
        return self.number(value, decimals) + ("\u00a0%" if self.language == "fr" else "%")

    def hours(self, begin: int, end: int) -> Iterator[int]:
        """The hours of this wall clock (each from its begin, in UTC ms) from the one that holds `begin` on."""
        offset = self.local(end).utcoffset() or timedelta()
        ahead = round(offset.total_seconds() * 1000) % HOUR
        yield from range((begin + ahead) // HOUR * HOUR - ahead, end, HOUR)


Reads = Callable[[Play, Said, str, dict[str, Chart], Viewer], None]


def read_charts(play: Play, said: Said, where: str, page: str, app: AppTest, viewer: Viewer | None = None) -> None:
    """All charts of that page."""
    reads: dict[str, tuple[Reads, list[str]]] = {
        "overview": (overview, ["scale", "hour"]),
        "history": (history, ["bots", "refusals", "box"]),
        "usage": (usage, ["heat", "stays", "starts", "trades"]),
        "alerts": (alerts, ["days"]),
        "sizing": (sizing, ["lost", "living", "dead"]),
    }
    if page in reads:
        (read, names), drawn = reads[page], charts(app)
        said(f"{where} {page} charts", len(drawn), len(names))
        viewer = viewer or Viewer(play.diary.zone)
        read(play, said, f"{where} drawn", dict(zip(names, drawn, strict=False)), viewer)
        if page == "overview":
            sparklines(play, said, f"{where} drawn", app, viewer)


def course(log: Diary, begin: int, end: int) -> list[tuple[int, int]]:
    """(instant, limit) where it moved, from `begin` on, and at `end` as it stood."""
    begin = max(begin, log.ups[0][0])
    moves = [(begin, log.limit(begin))]
    for at, limits in log.limits:
        if begin < at < end and limits["MAX_CONCURRENT_BOTS"] != moves[-1][1]:
            moves.append((at, limits["MAX_CONCURRENT_BOTS"]))
    return [*moves, (end, moves[-1][1])]


def known_from(log: Diary) -> int:
    """The begin of the 5 s of the first sample: nothing is drawn before."""
    return log.samples[0].at // (5 * SECOND) * 5 * SECOND


def parts(log: Diary, begin: int, now: int) -> tuple[list[dict[str, Any]], list[int], int]:
    """Buckets as the pages choose them, their instants in UTC ms, and their width in ms."""
    step = next(wide for wide in (5, 10, 15, 30, 60, 120, 300) if wide * 600 >= (now - begin) / 1000)
    rows = log.buckets(begin, now, step)
    return rows, [round(datetime.fromisoformat(row["at"]).timestamp() * 1000) for row in rows], step * SECOND


def capacity(play: Play, said: Said, where: str, chart: Chart, begin: int, viewer: Viewer) -> None:
    """Bots on the statuses of their time."""
    log, now = play.diary, play.now
    begin = max(begin, min(known_from(log), now - 2 * MINUTE))
    rows, ats, width = parts(log, begin, now)
    until = min(now, ats[-1] + width)
    moves = course(log, begin, until)
    bands = chart.layers("area", interpolate="step-after")[0]
    for band, share in zip(STATUSES, (0, 0.5, 0.8, 1), strict=True):
        drawn = [(row["at"], round(row["low"], 3)) for row in bands["rows"] if row["band"] == band]
        said(f"{where} band {band}", drawn, [(at, round(share * limit, 3)) for at, limit in moves])
    line = chart.field("line", "y", "mean")
    found = [(r["at"], r["low"], r["mean"], r["high"]) for r in line["rows"] if r["mean"] is not None]
    is_so = [(at, *(row["bots"][name] for name in ("min", "mean", "max"))) for at, row in zip(ats, rows, strict=True)]
    said(f"{where} bots", found, is_so)
    gaps = [one + width for one, other in pairwise(ats) if other - one > max(width, 20 * SECOND)]
    said(f"{where} gaps", [row["at"] for row in line["rows"] if row["mean"] is None], gaps)
    titles, hover = chart.tooltip()
    said(f"{where} tooltip", titles, TITLES[viewer.language]["capacity"])
    told = [tuple(row[name] for name in ("when", "bots", "limit", "used", "refused")) for row in hover if row["when"]]
    said(f"{where} told", told, [tells(viewer, at, row) for at, row in zip(ats, rows, strict=True)])
    said(f"{where} axis", line["encoding"]["y"]["title"], TITLES[viewer.language]["bots"])
    axis(said, where, line, begin, now, viewer)
    marks = [layer["rows"] for layer in chart.layers("rule") if "kind" in str(layer["encoding"].get("tooltip"))]
    pairs = list(pairwise(moves[:-1]))
    whys = log.whys(len(pairs))
    changed = [(at, f"{before} → {after} · {why}") for ((_, before), (at, after)), why in zip(pairs, whys, strict=True)]
    said(f"{where} marks", [(row["at"], row["label"]) for row in (marks[0] if marks else [])], changed)


def tells(viewer: Viewer, at: int, row: dict[str, Any]) -> tuple[Any, ...]:
    """What is said of a bucket that somebody points at."""
    bots, most = row["bots"], row["limit"]
    several = f"{bots['min']} – {bots['max']}" if bots["min"] != bots["max"] else viewer.number(bots["mean"])
    used = viewer.percent(100 * bots["mean"] / most)
    return viewer.stamp(at), several, most, used, viewer.number(sum(row["refusals"].values()))


def axis(said: Said, where: str, layer: dict[str, Any], begin: int, end: int, viewer: Viewer) -> None:
    """From when to when, and what stands beneath it."""
    said(f"{where} span", layer["encoding"]["x"]["scale"]["domain"], [begin, end])
    marked = ticks(layer)
    said(f"{where} ticks", marked, {at: viewer.tick(at) for at in marked})
    said(f"{where} ticks inside", [at for at in marked if not begin <= at <= end], [])
    said(f"{where} enough ticks", len(marked) > 1 or end - begin < 4 * MINUTE, True)


def overview(play: Play, said: Said, where: str, drawn: dict[str, Chart], viewer: Viewer) -> None:
    log, now = play.diary, play.now
    held, most = len(log.held(now)), log.limit(now)
    scale = drawn["scale"]
    statuses, taken = scale.layers("bar")
    ends = {row["band"]: (round(row["low"], 3), round(row["high"], 3)) for row in statuses["rows"]}
    top = statuses["encoding"]["x"]["scale"]["domain"][1]
    bounds = [0, round(0.5 * most, 3), round(0.8 * most, 3), most, round(top, 3)]
    said(f"{where} scale", ends, dict(zip(STATUSES, pairwise(bounds), strict=True)))
    said(f"{where} taken", [(row["low"], row["high"]) for row in taken["rows"]], [(0, held)])
    shares = {share * most: [viewer.number(share * most), viewer.percent(100 * share, 0)] for share in (0, 0.5, 0.8, 1)}
    said(f"{where} scale ticks", ticks(statuses), shares)
    capacity(play, said, f"{where} hour", drawn["hour"], now - HOUR, viewer)


def sparklines(play: Play, said: Said, where: str, app: AppTest, viewer: Viewer) -> None:
    """What is drawn in the cards: the peak of each hour of the day, the refusals of each 5 minutes of the hour."""
    log, now = play.diary, play.now
    peak, refused = (list(one.proto.chart_data) for one in app.metric[:2])
    hours = [row["bots"]["max"] for _, row in hours_of(log, viewer, now - DAY, now)]
    said(f"{where} peaks", peak, hours if len(hours) >= 5 else [])
    wide, until = 5 * MINUTE, log.samples[-1].at + 1
    slices = [
        sum(log.refused(at, min(at + wide, until)).values()) for at in range((now - HOUR) // wide * wide, now, wide)
    ]
    any_refused = log.told("refusal", (now // SECOND - 3600) * SECOND, now + 1)
    said(f"{where} refusals of the hour", refused, slices if any_refused else [])


def history(play: Play, said: Said, where: str, drawn: dict[str, Chart], viewer: Viewer) -> None:
    log, now = play.diary, play.now
    begin = max(now - DAY, min(known_from(log), now - 2 * MINUTE))
    rows, ats, _ = parts(log, begin, now)
    capacity(play, said, f"{where} bots", drawn["bots"], begin, viewer)
    bars = drawn["refusals"].layers("bar")[0]
    found = {(row["at"], row["why"]): row["n"] for row in bars["rows"]}
    counts = {(at, why): n for at, row in zip(ats, rows, strict=True) for why, n in row["refusals"].items()}
    said(f"{where} refusals", found, counts)
    names = {why: REASONS[viewer.language][why] for _, why in counts}
    told = {(row["when"], row["reason"], row["n"]) for row in bars["rows"]}
    said(f"{where} refusals told", told, {(viewer.stamp(at), names[why], n) for (at, why), n in counts.items()})
    said(f"{where} refusals legend", set(bars["encoding"]["color"]["scale"]["domain"]), set(names.values()))
    said(f"{where} refusals tooltip", drawn["refusals"].tooltip()[0], TITLES[viewer.language]["refusals"])
    said(f"{where} refusals axis", bars["encoding"]["y"]["title"], TITLES[viewer.language]["refused"])
    axis(said, f"{where} refusals", bars, begin, now, viewer)
    titles, hover = drawn["box"].tooltip()
    said(f"{where} box tooltip", titles, TITLES[viewer.language]["box"])
    found_box = [(row["at"], row["when"], row["CPU"], row["RAM"]) for row in hover]
    is_so = [(at, viewer.stamp(at), row["cpu_percent"], row["ram_percent"]) for at, row in zip(ats, rows, strict=True)]
    said(f"{where} box", found_box, [row for row in is_so if row[2] is not None])
    lines = drawn["box"].layers("line")[0]
    axis(said, f"{where} box", lines, begin, now, viewer)


def hours_of(log: Diary, viewer: Viewer, begin: int, now: int) -> list[tuple[int, dict[str, Any]]]:
    """The hours of the viewer's wall clock of which something is known."""
    hours = ((at, log._bucket(at, at + HOUR)) for at in viewer.hours(begin, now))
    return [(at, row) for at, row in hours if row is not None]


def usage(play: Play, said: Said, where: str, drawn: dict[str, Chart], viewer: Viewer) -> None:
    log, now = play.diary, play.now
    hours = hours_of(log, viewer, log.ups[0][0], now)
    heat(said, where, drawn["heat"], log, hours, viewer)
    ended = Counter(
        next((lasted for most, lasted in LENGTHS.items() if stay.end - stay.start < 1000 * most), "> 7 d")
        for stay in log.stays if stay.end is not None
    )  # fmt: skip
    bins = drawn["stays"].layers("bar")[0]["rows"]
    if viewer.language == "en":
        said(f"{where} lengths", {row["bin"]: row["n"] for row in bins if row["n"]}, dict(ended))
    days = max(1.0, (now - known_from(log)) / DAY)
    by_hour: Counter[tuple[str, str]] = Counter()
    for at, row in hours:
        by_hour[str(viewer.local(at).hour), ""] += row["starts"]
        for why in ("server_full", "user_limit", "paused"):
            by_hour[str(viewer.local(at).hour), why] += row["refusals"].get(why, 0)
    bars = drawn["starts"].layers("bar")[0]["rows"]
    found = {(row["x"], row["why"]): row["n"] for row in bars if row["n"]}
    said(f"{where} starts", found, {key: round(n / days, 2) for key, n in by_hour.items() if n})
    trades: dict[str, Counter[str | None]] = {}
    for one in log.told("trade", 0, now + 1):
        trades.setdefault(log.day(one.at)[0], Counter())[one.user] += 1
    bars = drawn["trades"].layers("bar")[0]["rows"]
    found_days = [(row["day"], row["most"], row["total"], row["users"]) for row in bars]
    first, last = (date.fromisoformat(day) for day in (min(trades), log.day(now)[0]))
    every = (first + timedelta(days=n) for n in range((last - first).days + 1))
    of_days = [(viewer.date(day), trades.get(f"{day}", Counter())) for day in every]
    is_so = [(day, max(n.values(), default=0), n.total(), len(n)) for day, n in of_days]
    said(f"{where} trades", found_days, is_so)
    said(
        f"{where} trades limit",
        drawn["trades"].layers("rule")[0]["rows"],
        [{"most": log.limit(now, "MAX_TRADES_PER_DAY")}],
    )


def sizing(play: Play, said: Said, where: str, drawn: dict[str, Chart], viewer: Viewer) -> None:
    """Who was refused for a full server and came back or not, by the day of the first try; what each lease would cost
    is what the API says of it."""
    log = play.diary
    lost: dict[str, Counter[str]] = {}
    for user in {one.user for one in log.told("refusal", 0, play.now + 1, reason="server_full")}:
        first = log.told("refusal", 0, play.now + 1, user, reason="server_full")[0].at
        came = bool(log.told("start", first, play.now + 1, user))
        lost.setdefault(log.day(first)[0], Counter())["later" if came else "lost"] += 1
    names = {"later": TITLES[viewer.language]["later"], "lost": TITLES[viewer.language]["lost"]}
    rows = drawn["lost"].layers("bar")[0]["rows"]
    found = {(row["at"], row["day"], row["what"]): row["n"] for row in rows if row["n"]}
    is_so = {}
    for day, counts in lost.items():
        begin = datetime.fromisoformat(day).replace(tzinfo=log.zone)  # a day of the server's calendar
        for what, n in counts.items():
            is_so[round(begin.timestamp() * 1000), viewer.date(begin.date()), names[what]] = n
    said(f"{where} lost", found, is_so)
    evidence = play.admin("GET", "lease-evidence")
    for name, figure in (("living", "living_ended"), ("dead", "slot_hours_held_by_the_dead")):
        bars = drawn[name].layers("bar")[0]
        shown = bars["encoding"]["y"]["field"]
        wanted = [(f"{row['lease_seconds']} s", row[figure]) for row in evidence["rows"]]
        said(f"{where} lease {name}", [(row["lease"], row[shown]) for row in bars["rows"]], wanted)
        said(f"{where} lease order {name}", bars["encoding"]["x"]["sort"], [lease for lease, _ in wanted])


def heat(
    said: Said, where: str, chart: Chart, log: Diary, hours: list[tuple[int, dict[str, Any]]], viewer: Viewer,
    how: str = "p95",
) -> None:  # fmt: skip
    """A cell an hour of the week on the viewer's wall clock: a night may have an hour twice, or not at all. An hour in
    which the limit moved is told minute by minute."""
    shares: dict[int, list[float]] = {}
    for at, row in hours:
        local = viewer.local(at)
        minutes = [row]
        if any(log.limit(since) != log.limit(at) for since, _ in log.limits if at < since < at + HOUR):
            minutes = [one for begin in range(at, at + HOUR, MINUTE) if (one := log._bucket(begin, begin + MINUTE))]
        if how == "mean":
            share = sum(one["bots"]["mean"] for one in minutes) / sum(one["limit"] for one in minutes)
        else:
            share = max(one["bots"]["max"] / one["limit"] for one in minutes)
        shares.setdefault(24 * local.weekday() + local.hour, []).append(share)
    wanted = {}
    for slot in range(168):
        seen = sorted(shares.get(slot, []))
        share = (sum(seen) / len(seen) if how == "mean" else seen[int(0.95 * (len(seen) - 1))]) if seen else None
        told = TITLES[viewer.language]["no data"] if share is None else viewer.percent(100 * share, 0)
        day = WEEKDAYS[viewer.language].split()[slot // 24]
        wanted[slot] = (day, slot % 24, None if share is None else round(share, 6), told, len(seen))
    rows = chart.layers("rect")[0]["rows"]
    found = {
        r["slot"]: (r["day"], r["hour"], None if r["share"] is None else round(r["share"], 6), r["said"], r["n"])
        for r in rows
    }
    for slot, cell in wanted.items():
        said(f"{where} heat {slot}", found.get(slot), cell)
    said(f"{where} heat tooltip", chart.tooltip()[0], TITLES[viewer.language]["heat"])


def alerts(play: Play, said: Said, where: str, drawn: dict[str, Chart], viewer: Viewer) -> None:
    """The highest status of each of the last 30 days of the viewer's calendar."""
    log, now = play.diary, play.now
    today = viewer.local(now).date()
    wanted = []
    for back in range(29, -1, -1):
        day = today - timedelta(days=back)
        begin, end = (
            round(datetime(one.year, one.month, one.day, tzinfo=viewer.zone).timestamp() * 1000)
            for one in (day, day + timedelta(days=1))
        )
        reached = [status(bots, most) for _, _, bots, most in log.course(begin, min(end, now + 1))]
        worst = max(reached, key=STATUSES.index) if reached else TITLES[viewer.language]["no data"]
        wanted.append((viewer.date(day), worst))
    cells = drawn["days"].layers("rect")[0]
    said(f"{where} days", [(row["day"], row["status"]) for row in cells["rows"]], wanted)
    said(f"{where} days in order", cells["encoding"]["x"]["sort"], [day for day, _ in wanted])
    said(f"{where} days tooltip", drawn["days"].tooltip()[0], TITLES[viewer.language]["days"])
