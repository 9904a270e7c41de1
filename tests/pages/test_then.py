"""The time machine of the history page says of an instant what the endpoint says, and why somebody was refused then."""

from datetime import datetime

import pytest

from limiter.client import Admin
from limiter.console.parts import moment
from tests.pages.conftest import Open, World
from tests.pages.test_pages import text_of


def test_an_instant_shows_who_held_a_slot_and_why_one_was_refused(open_page: Open, busy: World) -> None:
    with Admin(busy.url, busy.key, language="en") as admin:
        refused = admin.refusals(reason="server_full", limit=1).items[0]
        then = admin.state(refused.at)
        why = admin.explain(refused.request_id)
    at = round(datetime.fromisoformat(refused.at).timestamp() * 1000)
    app = open_page(busy, "history", range="30d", at=str(at))
    assert not app.exception
    assert then.limits is not None
    held, limit = len(then.sessions), then.limits["MAX_CONCURRENT_BOTS"]
    assert f"**{held}** of {limit:.0f} slots were held" in text_of(app)
    chooser = next(one for one in app.selectbox if "within 5 minutes" in one.label)
    chooser.set_value(refused.request_id).run()
    assert not app.exception and why.way_out.split(".")[0] in text_of(app)


def test_a_click_asks_for_the_refusal_and_else_for_the_busiest_instant_of_its_time(
    open_page: Open, busy: World
) -> None:
    with Admin(busy.url, busy.key, language="en") as admin:
        refused = admin.refusals(reason="server_full", limit=1).items[0]
        why = admin.explain(refused.request_id)
        at = round(datetime.fromisoformat(refused.at).timestamp() * 1000)
        hour = at - at % 3_600_000
        open_page(busy, "history", range="30d")
        assert moment.instant({"at": at - 1, "why": "server_full"}, 2) == (at, refused.request_id)
        peak, none = moment.instant({"at": hour, "why": ""}, 3_600_000)
        bounds = (datetime.fromtimestamp(ms / 1000).astimezone().isoformat() for ms in (hour, hour + 3_600_000))
        (bucket,) = admin.history(**dict(zip(("start", "end"), bounds, strict=True)), step=3600).buckets
        then = admin.state(datetime.fromtimestamp(peak / 1000).astimezone().isoformat())
    assert none is None and hour <= peak < hour + 3_600_000 and len(then.sessions) == bucket.bots.max
    assert moment.instant({"at": hour}, 5_000) == (hour + 2_500, None), "peaks are kept by the minute"
    for page in ("overview", "history"):  # the others: tests/journeys
        app = open_page(busy, page, then=str(at), why=refused.request_id)
        if page == "overview":  # which is open before the query is set
            app.run()
        assert not app.exception
        assert why.sentence in text_of(app) and why.way_out.split(".")[0] in text_of(app)


@pytest.mark.parametrize("nonsense", ["²", "9" * 40])
def test_what_is_no_instant_opens_nothing(open_page: Open, busy: World, nonsense: str) -> None:
    app = open_page(busy, "usage", then=nonsense)
    assert not app.exception and "slots were held" not in text_of(app)
