"""Widgets whose value lives in the URL, so that a reload, a shared link or Back shows the same in either language.

Streamlit's own `bind` writes the label that is shown, which is another text in the other language: here the URL holds
the value, and the widget follows it.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st


def _changed(key: str, default: str) -> None:
    value = st.session_state[key] or default
    if value != default:
        st.query_params[key] = value
    elif key in st.query_params:
        del st.query_params[key]
    if "page" in st.query_params:  # of the list before
        del st.query_params["page"]


def _follow(key: str, options: Mapping[str, str], default: str) -> None:
    asked = st.query_params.get(key, default)
    st.session_state[key] = asked if asked in options else default


def tabs(label: str, key: str, options: Mapping[str, str], default: str | None = None, **more: Any) -> str:
    """One of the options, as a row of buttons."""
    first = default or next(iter(options))
    _follow(key, options, first)
    found = st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        key=key,
        required=True,
        on_change=_changed,
        args=(key, first),
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
