"""The language and zone that a run of a page has, for code that is tested without one."""

from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pytest
import streamlit as st

Speak = Callable[..., None]


@pytest.fixture
def speak() -> Iterator[Speak]:
    """Sets language and zone."""

    def choose(language: str, zone: str = "UTC") -> None:
        st.session_state["language"] = language
        st.session_state["zone"] = ZoneInfo(zone)

    yield choose
    for name in ("language", "zone"):
        st.session_state.pop(name, None)
