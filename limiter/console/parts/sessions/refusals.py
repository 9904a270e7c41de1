"""Who was refused, when, and by which limit at that instant."""

import streamlit as st

from limiter.client import Refused
from limiter.console import data
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.words import number, reason_text, t, value_text, verbatim
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules.refusals import RECORDED
from limiter.store import read


def draw(sign_in: SignIn, user: str) -> None:
    """Who was refused, when, and by which limit at that instant."""
    with st.container(horizontal=True, gap="small"):
        texts = {"": t("Every reason")} | {name: reason_text(name) for name in RECORDED}
        reason = url_widgets.select(t("Reason"), "reason", texts, label_visibility="collapsed", width=260)
        placeholder = t("Request id the user was shown")
        asked = url_widgets.text(t("Request id"), "request", placeholder=placeholder, icon=":material/tag:", width=320)
    if asked:
        explain(sign_in, asked)
    total = data.read(read.refusals.count, user or None, reason or None)
    if not total:
        st.info(t("Nobody was refused."))
        return
    place = st.container()
    start = tables.page_of(total) * tables.PAGE
    rows = data.read(read.refusals.refusals, user or None, reason or None, limit=tables.PAGE, offset=start)
    shown = [
        {
            t("time"): times.instant(row.at),
            t("user"): row.user_id or (t("several users") if row.repeats > 1 else ""),
            t("reason"): reason_text(row.reason),
            t("limit"): row.limit_name or "",
            t("value then"): "" if row.value is None else number(row.value),
            t("count then"): "" if row._mapping["count"] is None else number(row._mapping["count"]),
            t("version"): row.version,
            t("times"): row.repeats,
            t("request id"): row.request_id,
        }
        for row in rows
    ]
    with place:
        zone = str(times.zone())
        tables.show(
            shown, column_config={t("time"): st.column_config.DatetimeColumn(timezone=zone, format="DD/MM HH:mm:ss")}
        )
        tables.csv_button(shown, "refusals")


def explain(sign_in: SignIn, request_id: str) -> None:
    """The answer to "why was I refused?": the sentence, what would have helped, and who held the slots then."""
    with st.container(border=True):
        try:
            answer = data.admin(sign_in).explain(request_id)
        except Refused as refused:
            if refused.status != 404:
                raise
            st.markdown(verbatim(str(refused)))
            st.caption(t("Single refusals are kept for a time; see Settings."))
            return
        row = answer.refusal
        who = " · ".join(filter(None, (times.when(times.millis(row.at)), row.user_id)))
        st.markdown(f"**{who}** · {reason_text(row.reason)}")
        st.markdown(verbatim(answer.sentence))
        if row.limit:
            st.markdown(
                t("`{limit}` was {value} at that instant (version {version}). Taken: {count}.",
                  limit=row.limit, value=value_text(row.value), version=row.version, count=number(row.count or 0))
            )  # fmt: skip
        st.markdown(verbatim(answer.way_out))
        if answer.decided_again is False:
            st.warning(t("Decided again from what was recorded, it is not refused for this reason."))
        elif answer.decided_again:
            st.caption(t("Decided again from what was recorded, it is refused for the same reason."))
        if answer.holders:
            st.caption(t("Held longest at that instant:"))
            tables.show(
                [
                    {
                        t("user"): one.user_id,
                        t("bot"): one.bot_id,
                        t("started"): times.when(times.millis(one.started_at)),
                    }
                    for one in answer.holders
                ]
            )
