"""The time machine of the history page says of an instant what the endpoint says, and why somebody was refused then."""

from datetime import datetime

from limiter.client import Admin
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
