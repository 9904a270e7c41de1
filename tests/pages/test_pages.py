"""Every page with data, on an empty database, and where database or limiter are away."""

import itertools
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import altair as alt
import httpx
import pytest
from streamlit.testing.v1 import AppTest

from limiter.console import data
from limiter.console.kit import times
from limiter.console.parts import retention
from limiter.console.view import HOUR
from limiter.rules.schedule import DAYS, MAX
from tests.journeys.console_process import ROOT
from tests.pages.conftest import Open, World

ROWS = re.findall(
    r'st\.Page\("(\w+)\.py", title=t\("([^"]+)"\)', (ROOT / "pages/router.py").read_text(encoding="utf-8")
)
PAGES = {script: None if script == "overview" else title for script, title in ROWS}
"""Every page with its title, from the router, so that none is left out; the first page's title is the state."""


def test_every_script_is_a_page() -> None:
    assert {f"{script}.py" for script in (*PAGES, "router")} == {path.name for path in (ROOT / "pages").glob("*.py")}


def text_of(app: AppTest) -> str:
    """All that a page says."""
    kinds = (app.title, app.header, app.markdown, app.caption, app.info, app.success, app.error)
    parts = [element.value for kind in kinds for element in kind]
    parts += [text for metric in app.metric for text in (metric.label, metric.value, metric.delta)]
    return "\n".join([*map(str, parts), *(element.proto.body for element in app.get("html"))])


@pytest.mark.parametrize("page", PAGES)
def test_with_data(open_page: Open, busy: World, page: str) -> None:
    app = open_page(busy, page)
    assert not app.exception and not app.error, (app.exception, app.error)
    if PAGES[page]:
        assert app.title[0].value == PAGES[page]
    assert "Active Bots: " in text_of(app)
    assert "could not be drawn" not in text_of(app)
    assert not re.search(r"\d\s%", text_of(app)), "that is French"


@pytest.mark.parametrize("page", ["overview", "history", "usage", "alerts", "sizing"])
def test_charts_hold_to_the_grammar(open_page: Open, busy: World, page: str) -> None:
    """As the browser gets them, which Altair's own checks do not see."""
    charts = open_page(busy, page).get("vega_lite_chart")
    assert charts
    for drawn in charts:
        alt.Root.from_dict(json.loads(drawn.proto.spec))


@pytest.mark.parametrize("page", PAGES)
def test_on_an_empty_database(open_page: Open, empty: World, page: str) -> None:
    app = open_page(empty, page)
    assert not app.exception, app.exception
    assert "could not be drawn" not in text_of(app)
    assert "Active Bots: 0 / 200 slots (0.0%)" in text_of(app)


@pytest.mark.parametrize("page", PAGES)
def test_without_a_database_each_part_says_so_with_an_id_and_a_retry(
    open_page: Open, tmp_path: Path, page: str
) -> None:
    app = open_page(World(tmp_path, "http://127.0.0.1:9"), page)
    assert not app.exception, app.exception
    if page not in ("overview", "settings"):
        assert "could not be drawn" in text_of(app) or "has not started" in text_of(app)
        assert any(button.label == "Retry" for button in app.button)
    own = [one.value for one in app.markdown if one.value.startswith("**LIMITER_DATABASE_URL**")]  # where it may stand
    said = text_of(app).replace("".join(own), "")
    assert "Traceback" not in said and str(tmp_path) not in said


@pytest.mark.parametrize("page", PAGES)
def test_without_the_limiter_the_last_data_stay(open_page: Open, busy: World, page: str) -> None:
    app = open_page(World(busy.folder, "http://127.0.0.1:9"), page)
    assert not app.exception, app.exception
    assert "No limiter answers" in text_of(app)
    assert "could not be drawn" not in text_of(app)


def test_in_french(open_page: Open, busy: World) -> None:
    app = open_page(busy, "sessions", locale="fr-FR")
    assert "Places comptées" in text_of(app) and "Bots actifs : " in text_of(app)


@pytest.mark.parametrize(
    ("locale", "names", "said"),
    [
        ("en-US", ["memory, MB", "highest, MB", "CPU, %"], "bots say what they cost"),
        ("fr-FR", ["mémoire, Mo", "maximum, Mo", "CPU, %"], "Bots mesurés : "),
    ],
)
def test_who_is_heavy_comes_first(open_page: Open, busy: World, locale: str, names: list[str], said: str) -> None:
    app = open_page(busy, "sessions", locale=locale, order="memory")
    assert not app.exception and said in text_of(app)
    held, highest, _ = (list(app.dataframe[0].value[name].dropna()) for name in names)
    assert len(held) > 40 and held == sorted(held, reverse=True)
    assert all(now <= peak for now, peak in zip(held, highest, strict=True))
    app.selectbox(key="order").set_value("cpu").run()
    assert not app.exception and app.query_params["order"] == "cpu"


def test_of_none_nothing_is_counted(open_page: Open, empty: World) -> None:
    said = text_of(open_page(empty, "sessions", locale="fr-FR"))
    assert "tous les bots répondent" in said and "0 place tenue" not in said
    said = text_of(open_page(empty, "alerts", locale="fr-FR"))
    assert "Rien d'ouvert" in said and "0 est" not in said, said


def test_a_length_of_stays_opens_its_sessions_beside_the_page(open_page: Open, busy: World) -> None:
    app = open_page(busy, "usage", stay="7200-14400")
    assert not app.exception and app.get("dialog")[0].proto.dialog.title == "Sessions that lasted 2 h – 4 h"
    link = app.get("page_link")[-1].proto
    assert link.query_string == "view=ended&stay=7200-14400" and link.label == "All such sessions"
    for nonsense in ("1-2", "x"):
        assert not open_page(busy, "usage", stay=nonsense).get("dialog")


def test_the_scale_moves_with_the_bots_and_the_language(
    open_page: Open, empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "LIVE_SECONDS", -1.0)

    app = open_page(empty)

    def scale() -> tuple[str, str]:
        drawn = app.run().get("vega_lite_chart")[0].proto
        return drawn.alt, drawn.spec

    free = scale()
    assert free == scale() and free[0].startswith("0 of 200")
    session = httpx.post(f"{empty.url}/api/bots/start", json={"user_id": "scaled"}).json()["session"]["session_id"]
    try:
        assert scale()[0].startswith("1 of 200")
        app.segmented_control(key="lang").set_value("fr")
        assert scale()[0].startswith("1 place")
    finally:
        httpx.post(f"{empty.url}/api/bots/stop", json={"session_id": session})


def test_what_nobody_measured_is_no_zero(open_page: Open, empty: World) -> None:
    reply = httpx.post(f"{empty.url}/api/bots/start", json={"user_id": "quiet"})
    app = open_page(empty, "sessions")
    assert not [one for one in app.selectbox if one.key == "order"], "nothing to order by"
    row = app.dataframe[0].value.iloc[0]
    assert row[["memory, MB", "highest, MB", "CPU, %"]].isna().all(), row
    httpx.post(f"{empty.url}/api/bots/stop", json={"session_id": reply.json()["session"]["session_id"]})


def test_signed_out_a_page_says_nothing(open_page: Open, busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(busy, "sessions")
    monkeypatch.setattr("limiter.console.frame.cookie", lambda: None)
    app.run()
    assert not app.title and not app.get("arrow_data_frame")
    assert "You are signed out" in text_of(app)


@pytest.mark.parametrize(
    ("locale", "name", "title", "hint"),
    [
        ("en-US", "Mon 18 h", "Starts, week by week", "Lengths, starts and users below are those"),
        ("fr-FR", "lun. 18 h", "Démarrages, semaine par semaine", "Durées, démarrages et utilisateurs ci-dessous"),
    ],
)
def test_a_cell_of_the_week_filters_until_its_chip_is_clicked(
    open_page: Open, busy: World, locale: str, name: str, title: str, hint: str
) -> None:
    app = open_page(busy, "usage", locale=locale, cell="mon-18")
    assert not app.exception, app.exception
    chip = app.button(key="cell-chip")
    assert chip.label == name and hint in text_of(app)
    assert title in [header.value for header in app.header]
    chip.click().run()
    assert "cell" not in app.query_params
    assert hint not in text_of(app) and title not in [header.value for header in app.header]


@pytest.mark.parametrize("cell", ["mon-24", "noday-3", "mon-", "mon-²", "-"])
def test_a_cell_that_there_is_not_filters_nothing(open_page: Open, busy: World, cell: str) -> None:
    app = open_page(busy, "usage", cell=cell)
    assert not app.exception and not [one for one in app.button if one.key == "cell-chip"]


@pytest.mark.parametrize(
    ("locale", "said"),
    [("en-US", "; with 400, as now: "), ("fr-FR", " ; avec 400, comme maintenant : ")],
)
def test_what_a_smaller_retention_would_delete(open_page: Open, busy: World, locale: str, said: str) -> None:
    app = open_page(busy, "settings", locale=locale, tab="box")
    app.selectbox(key="keep-name").set_value("LIMITER_KEEP_SESSIONS_DAYS").run()
    app.number_input(key="keep-LIMITER_KEEP_SESSIONS_DAYS").set_value(3).run()
    assert not app.exception, app.exception
    line = next(one.value for one in app.markdown if "LIMITER_KEEP_SESSIONS_DAYS=3" in one.value)
    assert said in line and "**0**" not in line  # a week of history: more than three days of it would go


def test_what_goes_now_is_one_figure(open_page: Open, busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = itertools.count(times.now(), HOUR)  # between two counts more would go
    monkeypatch.setattr(retention, "times", SimpleNamespace(now=lambda: next(hours)))
    app = open_page(busy, "settings", locale="en-US", tab="box")
    assert not app.exception, app.exception
    kept = next(one.value for one in app.dataframe if "rows to go now" in one.value)
    due = kept.set_index("setting")["rows to go now"]["LIMITER_KEEP_RAW_HOURS"]
    line = next(one.value for one in app.markdown if "LIMITER_KEEP_RAW_HOURS=24" in one.value)
    assert due != "0" and line.endswith(f"; with 48, as now: {due}.")


@pytest.mark.parametrize(
    ("locale", "before", "after", "none"),
    [
        ("en-US", "No bot is measured", "This box carries about", "LIMITER_BOT_PATTERN is not set"),
        ("fr-FR", "Aucun bot n'est mesuré", "Ce serveur porte environ", "LIMITER_BOT_PATTERN n'est pas réglé"),
    ],
)
def test_what_the_box_carries(open_page: Open, empty: World, locale: str, before: str, after: str, none: str) -> None:
    app = open_page(empty, "settings", locale=locale, tab="box")
    assert not app.exception
    assert any(one.value.startswith(before) for one in app.markdown)
    assert any(none in one.value for one in app.caption)
    with httpx.Client(base_url=empty.url) as http:
        session = http.post("/api/bots/start", json={"user_id": f"measured-{locale}"}).json()["session"]["session_id"]
        http.post("/api/bots/heartbeat", json={"session_id": session, "memory_bytes": 59 * 1024**2})
        app = open_page(empty, "settings", locale=locale, tab="box")
        http.post("/api/bots/stop", json={"session_id": session})
    assert not app.exception
    assert any(one.value.startswith(f"**{after}") for one in app.markdown)


def test_the_hours_of_the_day_stand_in_their_order(open_page: Open, busy: World) -> None:
    """Vega-Lite would sort a stacked bar by the sum of its parts."""
    specs = [json.loads(chart.proto.spec) for chart in open_page(busy, "usage").get("vega_lite_chart")]
    axes = [layer["encoding"]["x"] for spec in specs for layer in spec["layer"] if "x" in layer["encoding"]]
    hours = next(axis["sort"] for axis in axes if axis["field"] == "x")
    assert hours == sorted(hours, key=int) and len(hours) == 24


def test_history_draws_the_windows_ahead(open_page: Open, busy: World) -> None:
    begins = datetime.now(UTC) + timedelta(hours=6)
    window = {"days": list(DAYS), "from": f"{begins:%H:%M}", "to": f"{begins + timedelta(hours=1):%H:%M}", MAX: 333}
    with httpx.Client(base_url=busy.url, headers={"Authorization": f"Bearer {busy.key}"}) as http:
        http.put("/api/admin/windows", json={"windows": [window], "reason": "t"}).raise_for_status()
        charts = [one.proto for one in open_page(busy, "history", range="7d").get("vega_lite_chart")]
        http.request("DELETE", "/api/admin/windows", json={"reason": "t"}).raise_for_status()
    assert len(charts) == 3
    domains = [[layer["encoding"]["x"]["scale"]["domain"] for layer in spec["layer"] if "x" in layer["encoding"]]
               for spec in (json.loads(chart.spec) for chart in charts)]  # fmt: skip
    assert all(domain == domains[0][0] for of_chart in domains for domain in of_chart), "one x for all three"
    assert domains[0][0][1] - 1000 * time.time() > 24 * HOUR, "a quarter of the week"


@pytest.mark.parametrize(
    ("chosen", "source"),
    [("1h", "from 5-second snapshots"), ("24h", "from minute means"), ("7d", "from means of 30 min")],
)
def test_history_says_how_exact_its_lines_are_in_every_range(
    open_page: Open, busy: World, chosen: str, source: str
) -> None:
    assert source in text_of(open_page(busy, "history", range=chosen))


def test_overview_says_that_nobody_would_be_told_and_joins_what_repeats(open_page: Open, busy: World) -> None:
    said = text_of(open_page(busy, "overview"))
    assert "**No alert channel**" in said
    assert "Nothing asks for you." not in said, "not beside what asks"
    latest = [line for line in said.splitlines() if " refused: " in line]
    assert len(set(latest)) == len(latest)


@pytest.mark.parametrize(
    ("locale", "half", "tries", "idle", "columns"),
    [
        (
            "en-US",
            "users hold half of the slot-hours.",
            "Distinct demands",
            "Held without a trade",
            {"user", "share"},
        ),
        ("fr-FR", "tiennent la moitié des heures", "Demandes distinctes", "Tenues sans trade", {"utilisateur", "part"}),
    ],
)
def test_who_does_what(
    open_page: Open, busy: World, locale: str, half: str, tries: str, idle: str, columns: set[str]
) -> None:
    app = open_page(busy, "usage", locale=locale)
    said = text_of(app)
    assert half in said and tries in said and idle in said
    assert any(columns <= set(one.value.columns) for one in app.dataframe)
    assert "could not be drawn" not in said
    listed = open_page(busy, "sessions", locale=locale, view="idle")
    assert not listed.exception and "could not be drawn" not in text_of(listed)
    assert idle in text_of(listed) or not listed.dataframe
