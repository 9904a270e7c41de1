"""The page that decides says what the endpoints say, and its buttons lead to a preview and to a step of the plan."""

from datetime import UTC, datetime, timedelta

import pytest

from limiter.client import Admin
from tests.pages.conftest import Open, World
from tests.pages.test_pages import text_of


def test_each_question_is_answered_by_the_endpoint_s_figures(open_page: Open, busy: World) -> None:
    app = open_page(busy, "sizing", users="250")
    assert not app.exception and not app.error
    with Admin(busy.url, busy.key, language="en") as admin:
        answer, seen = admin.sizing(0.01, 250), admin.sizing()
    said = text_of(app)
    assert str(answer.needs) in said  # a week of history
    lost, demands = sum(day.lost for day in seen.days), sum(day.demands for day in seen.days)
    assert demands == seen.demands > 1000
    assert f"{lost:,} of {demands:,} demands never got a slot" in said or f"all {demands:,} demands" in said
    assert "Too early to say" in said


@pytest.mark.parametrize(
    ("locale", "title"), [("en-US", "When will we be full?"), ("fr-FR", "Quand serons-nous pleins ?")]
)
def test_in_both_languages(open_page: Open, empty: World, locale: str, title: str) -> None:
    app = open_page(empty, "sizing", locale=locale)
    assert not app.exception and title in [one.value for one in app.header]


def test_a_proposal_is_previewed_once_each_time_a_link_makes_it(open_page: Open, busy: World) -> None:
    app = open_page(busy, "limits", propose="250")
    assert not app.exception and "200 → 250" in text_of(app)
    assert "250" in app.query_params["propose"], "to take it out would be a step of Back"
    del app.session_state["preview"]
    assert "200 → 250" not in text_of(app.run()), "once"
    del app.query_params["propose"]
    app.run()
    app.query_params["propose"] = "250"
    assert "200 → 250" in text_of(app.run())
    app.button(key="dismiss").click().run()
    assert "propose" not in app.query_params and "200 → 250" not in text_of(app)
    for nonsense in ("-1", "x", "²"):
        app = open_page(busy, "limits", propose=nonsense)
        assert not app.exception and "Preview" not in [one.value for one in app.header]


def test_a_proposal_becomes_a_step_of_the_plan_s_draft(open_page: Open, busy: World) -> None:
    app = open_page(busy, "checklist", tab="plan", step="260")
    assert not app.exception
    draft = app.session_state["plan-draft"]
    assert draft[-1][1] == 260 and "260" in app.query_params["step"]
    for url in ({}, {"step": "260"}, {"step": "270"}):  # another page, the same link again, another one
        app.query_params.pop("step", None)
        app.query_params.update(url)
        assert not app.run().exception
    assert [bots for _, bots in app.session_state["plan-draft"]][len(draft) - 1 :] == [260, 270]
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert abs(datetime.fromtimestamp(draft[-1][0] / 1000, UTC).date() - tomorrow) <= timedelta(days=1)
