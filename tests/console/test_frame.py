"""Parts that are drawn alone, and again while the page stands."""

import pytest
from streamlit.testing.v1 import AppTest

from limiter.console import frame
from limiter.console.sign_in.sign_ins import SIGN_INS


def page() -> None:
    import streamlit as st

    from limiter.console import frame

    def failing() -> None:
        raise ValueError("for the log alone")

    def sound() -> None:
        st.markdown("drawn all the same")

    frame.live(5)(failing, sound)()


def unreadable() -> None:
    from limiter.console import frame
    from limiter.store.location import StoreError

    def failing() -> None:
        raise StoreError(fr="la base n'est pas là", en="the database is not there")

    frame.guard(failing)


def test_what_the_database_has_against_it_is_said() -> None:
    app = AppTest.from_function(unreadable).run()
    assert not app.exception, app.exception
    assert "The database cannot be read: `limiter doctor` says why." in [one.value for one in app.markdown]


def test_one_that_fails_takes_none_of_those_with_it_that_are_drawn_by_the_same_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cookie = SIGN_INS.cookie(SIGN_INS.open("key", "tester", "admin:read"))
    monkeypatch.setattr(frame, "cookie", lambda: cookie)
    app = AppTest.from_function(page).run()
    assert not app.exception, app.exception
    said = [one.value for one in app.markdown]
    assert any("could not be drawn" in text for text in said) and said[-1] == "drawn all the same"
    assert not any("for the log alone" in text for text in said)
