"""Five weeks of evenings, so that forecast and sizing have something to say: the same of them on the page, by the
command and by the endpoint, and it is what a log of the evenings says."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import World
from tests.pages.test_pages import text_of
from tests.truth.answers import Said
from tests.truth.decisions import DAY, commands, days, demands, hours, read_preview
from tests.truth.diary import HOUR, MINUTE, SECOND, text
from tests.truth.play import playing
from tests.truth.scheduled import Operators
from tests.truth.screens import figures
from tests.truth.test_night import LIMITS, ZONE

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
FIRST = datetime(2026, 10, 5, 18, 2, 3, 130_000, tzinfo=ZoneInfo(ZONE))  # a Monday; the clocks change on the 25th
DAYS = 29  # from the first to the last
WANTED = {0: 4, 2: 8, 4: 12, 5: 11}  # bots, by day of the week; on the others nobody is there
MOST = 10


def evening(play: Operators, number: int) -> None:
    """Bots come and go; on Fridays the limit is raised once it was reached, on two Wednesdays it is lowered to as
    many as were there before, under a higher one."""
    day = FIRST + timedelta(days=number)  # of the same wall clock
    if day.weekday() not in WANTED:
        return
    if number:
        play.restart(int(day.timestamp() * 1000))
    if play.diary.limit(play.now) != MOST:
        play.raise_to("anna", MOST)
    stays = [play.knock(f"u{n}", "b1") for n in range(WANTED[day.weekday()])]
    play.after(8)
    held = [stay for stay in stays if stay is not None]
    if day.weekday() == 4:
        play.raise_to("anna", 14)
    for stay in held:
        play.after(0.5)
        play.stop(stay)
    if day.weekday() == 2 and number < 14:
        play.raise_to("bob", 8)
    play.after(8)


def read_forecast(play: Operators, said: Said, app: AppTest) -> None:
    """Each evening was as that of the week before, so those to come are; and nobody else ever came."""
    log, now = play.diary, play.now
    answer = play.admin("GET", "forecast?days=14")
    this_hour = now - now % HOUR
    to_come = [
        datetime.fromtimestamp(at / 1000, log.zone)
        for at in range(this_hour, this_hour + 14 * DAY, HOUR)
        if (local := datetime.fromtimestamp(at / 1000, log.zone)).hour == FIRST.hour and local.weekday() in WANTED
    ]
    points = [(one["at"], one["middle"]) for one in answer["points"]]
    peaks = [min(WANTED[one.weekday()], MOST) for one in to_come]
    said("points", points, [(text(int(one.timestamp() * 1000)), n) for one, n in zip(to_come, peaks, strict=True)])
    said("errors", (answer["error"], answer["naive_error"], answer["level_changed_at"]), (0.0, 0.0, None))
    reached = sum("FULL" in statuses for statuses in hours(log, now).values())
    said("censored", answer["censored_hours"], reached)
    told = commands(
        play, said, "weeks", {("forecast",): "forecast", ("sizing",): "sizing", ("lease",): "lease-evidence"}
    )
    shown = text_of(app)
    sentence = f"The limit was reached in {reached} h: demand above it is not in the count."
    said("censored shown", (sentence in shown, sentence in told["forecast",]), (True, True))
    for share, chance in answer["chance"].items():
        said(
            f"chance {share}",
            f"**{share}%** of the limit is reached within 14 days: chance **{100 * chance:.0f}%**" in shown,
            True,
        )
        said(
            f"chance {share} told",
            f"reaches {share}% of the limit with a chance of {100 * chance:.0f}%" in told["forecast",],
            True,
        )
    rows = re.findall(r"^(2\S+) +(\d+) ", told["forecast",], re.M)
    said("highest hours told", rows, [(at, f"{middle:.0f}") for at, middle in points])


def read_sizing(play: Operators, said: Said, app: AppTest) -> None:
    """What was asked for and not given is counted; the model's figures are the same everywhere."""
    log, now = play.diary, play.now
    came = [one for one in demands(log, now) if one[0] >= now - now % HOUR - 28 * DAY]
    first, lost = sum(refused for _, refused, _ in came), sum(gone for _, _, gone in came)
    answer = play.admin("GET", "sizing")
    said("demands", (answer["demands"], answer["days"]), (len(came), days(log, came)))
    at_limit, users = answer["now"], {event.user for event in log.events if event.what in ("start", "refusal")}
    seen = (at_limit["limit"], at_limit["seen_first"], at_limit["seen_lost"])
    said("seen", seen, (log.limit(now), round(first / len(came), 5), round(lost / len(came), 5)))
    said("users", answer["users"], len(users))
    sampled = 5 * SECOND * sum(one.bots for one in log.samples if one.at >= now - now % HOUR - 28 * DAY)
    said("stay", answer["stay_hours"], round(sampled / (len(came) - lost) / HOUR, 2))
    shown, cards = text_of(app), figures(app)
    never = (
        f"{lost} of {len(came)} demands never got a slot ({100 * lost / len(came):.2f}%); refused at first: {first} ("
    )
    said("lost shown", never in shown, True)
    need, low, high = answer["slots"], answer["low"], answer["high"]
    said("slots shown", cards["Slots, so that few wait"], (str(need["first"]), f"{low['first']} to {high['first']}"))
    said("lost slots", cards["Slots, so that few give up"], (str(need["lost"]), f"{low['lost']} to {high['lost']}"))
    expected = f"{100 * at_limit['refused_first']:.2f}%"
    said("expected", cards[f"Refused at first with {log.limit(now)}"][0], expected)
    load = (f"{answer['load']['peak']:.0f}", f"in the busiest hour; {answer['load']['mean']:.0f} on average")
    said("wanted", cards["Bots wanted at once"], load)
    said("sentence", (str(answer["sentence"]) in shown, str(answer["trust"]) in shown), (True, True))


def test_five_weeks_are_told_as_they_were(
    tmp_path: Path, open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said()
    with playing(tmp_path, monkeypatch, FIRST, LIMITS, driver=Operators) as play:
        assert isinstance(play, Operators)
        for number in range(DAYS):
            evening(play, number)
        play.restart(play.now + 3 * DAY + 70 * MINUTE)  # an outage, with an evening in it
        play.after(1)
        app = open_page(World(tmp_path, play.machine.url), "sizing", tz=ZONE)
        assert not app.exception and not app.error, (app.exception, app.error)
        read_forecast(play, said, app)
        read_sizing(play, said, app)
        read_preview(play, said, "weeks")
    assert said.compared > 40
    assert not said.wrong, "\n".join(said.wrong)
