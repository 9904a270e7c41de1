"""Widgets whose value lives in the URL, so that a reload, a shared link or Back shows the same in either language.

Streamlit's own `bind` writes the label that is shown, which is another text in the other language: here the URL holds
the value, and the widget follows it. And (1.67) it takes what a widget of a page is bound to out of the URL only when
another page has been asked for: Back from there would first come to the page before without it. What is in the frame
of every page (frame.header) may be bound.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

PAGE = "page"
ASKED = "asked"


def go(values: Mapping[str, str | None]) -> None:
    """Give these parameters of the URL these values, None: take it away. All at once, for Streamlit makes each change
    of the URL a step of Back."""
    changes = {name: value for name, value in values.items() if (st.query_params.get(name) or None) != value}
    if changes:  # a parameter without a value is none
        st.query_params.update({name: [] if value is None else value for name, value in changes.items()})


def asked(name: str) -> str:
    """What a link asks for by that parameter of the URL, once as long as it stands there; else empty.

    It stays there until what was asked for is done or given up: to take it out at once would be a step of Back, which
    would have to be gone back over again. `forget_asked` is for every page.
    """
    value, served = st.query_params.get(name, ""), st.session_state.setdefault(ASKED, {})
    if served.get(name) == value:
        return ""
    served[name] = value
    return value


def forget_asked() -> None:
    """What the URL no longer asks for may be asked for again."""
    served = st.session_state.get(ASKED, {})
    st.session_state[ASKED] = {name: value for name, value in served.items() if st.query_params.get(name) == value}


def _changed(key: str, default: str, drops: Sequence[str] = ()) -> None:
    value = st.session_state[key] or default
    others = dict.fromkeys((PAGE, *drops))  # the page is of the list before
    go(others | {key: value if value != default else None})


def _follow(key: str, options: Mapping[str, str], default: str) -> None:
    asked = st.query_params.get(key) or default
    st.session_state[key] = asked if asked in options else default


def tabs(
    label: str, key: str, options: Mapping[str, str], default: str | None = None, drops: Sequence[str] = (), **more: Any
) -> str:
    """One of the options, as a row of buttons; `drops`: parameters that a choice takes away."""
    first = default or next(iter(options))
    _follow(key, options, first)
    found = st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        key=key,
        required=True,
        on_change=_changed,
        args=(key, first, drops),
        label_visibility="collapsed",
        **more,
    )
    return found or first


def select(label: str, key: str, options: Mapping[str, str], **more: Any) -> str:
    """One of the options, from a list; the first is the default."""
    first = next(iter(options))
    _follow(key, options, first)
    found: str = st.selectbox(
        label, list(options), format_func=options.__getitem__, key=key, on_change=_changed, args=(key, first), **more
    )
    return found


def text(label: str, key: str, **more: Any) -> str:
    """A text; empty by default."""
    st.session_state[key] = st.query_params.get(key, "")
    found: str = st.text_input(label, key=key, on_change=_changed, args=(key, ""), label_visibility="collapsed", **more)
    return found.strip()


def _whole(key: str, low: int, high: int) -> int | None:
    asked = st.query_params.get(key, "")
    return min(max(int(asked), low), high) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None


def _counted(key: str, default: int | None) -> None:
    value = st.session_state[key]
    go({key: None if value == default else str(value)})


def whole(label: str, key: str, low: int, high: int, **more: Any) -> int | None:
    """A whole number within these; None by default."""
    st.session_state[key] = _whole(key, low, high)
    found: int | None = st.number_input(label, low, high, key=key, on_change=_counted, args=(key, None), **more)
    return found


def page(pages: int) -> int:
    """One of so many pages, counted from 1, which is the default."""
    st.session_state[PAGE] = _whole(PAGE, 1, pages) or 1
    return st.pagination(pages, key=PAGE, on_change=_counted, args=(PAGE, 1))
