"""Change a limit without hurting anyone, and be able to go back."""

import streamlit as st

from limiter.console import data, frame
from limiter.console.kit import url_widgets
from limiter.console.kit.words import t
from limiter.console.parts.limits import preview, probation, schedule, system, users, versions
from limiter.store import read

sign_in = frame.begin()
PARTS = {"global": t("System"), "users": t("By user"), "windows": t("Windows"), "history": t("Versions")}

limits = data.read(read.limits.read)
st.title(t("Limits"), anchor=False)
if limits is None:
    st.info(t("The limiter has not started on this database yet: it writes the limits at its first start."))
    st.stop()
assert limits is not None
preview.undo_banner(sign_in, limits)
frame.live(frame.ticking(5))(probation.bar)(sign_in)
part = url_widgets.tabs(t("Part"), "tab", PARTS)
st.caption(t("Version {n} is in force.", n=limits.version))
preview.propose_from_url(sign_in, limits)
parts = {"global": system.draw, "users": users.draw, "windows": schedule.draw, "history": versions.draw}
parts[part](sign_in, limits)
