"""The list of pages, each run inside the frame."""

import streamlit as st

from limiter.console import frame
from limiter.console.kit.receipts import show_receipts
from limiter.console.kit.url_widgets import forget_asked
from limiter.console.kit.words import t

frame.choose_view()
frame.page_setup(t("Bot capacity"))
pages = {
    t("Operate"): [
        st.Page("overview.py", title=t("Overview"), icon=":material/speed:", default=True),
        st.Page("sessions.py", title=t("Sessions"), icon=":material/smart_toy:", url_path="sessions"),
        st.Page("alerts.py", title=t("Alerts"), icon=":material/notifications:", url_path="alerts"),
    ],
    t("Analyse"): [
        st.Page("history.py", title=t("Capacity history"), icon=":material/show_chart:", url_path="history"),
        st.Page("usage.py", title=t("Usage patterns"), icon=":material/grid_on:", url_path="usage"),
    ],
    t("Tune"): [
        st.Page("sizing.py", title=t("Sizing"), icon=":material/straighten:", url_path="sizing"),
        st.Page("limits.py", title=t("Limits"), icon=":material/tune:", url_path="limits"),
        st.Page("checklist.py", title=t("Launch"), icon=":material/rocket_launch:", url_path="launch"),
    ],
    t("System"): [st.Page("settings.py", title=t("Settings"), icon=":material/settings:", url_path="settings")],
}
page = st.navigation(pages, expanded=True)
frame.page_setup(f"{page.title} · {t('Bot capacity')}")
sign_in = frame.begin()
frame.header(sign_in)
show_receipts()
forget_asked()
frame.guard(page.run)
