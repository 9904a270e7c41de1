"""The days to come: what was, what is expected, and the band that holds four hours in five."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from limiter.console.charts.axes import clickable, finished, milliseconds, time_x, tips, value_y
from limiter.console.charts.capacity import with_gaps
from limiter.console.theme import BLUE, tones
from limiter.console.view import HOUR, Span, View


def ahead(
    past: pd.DataFrame, expected: pd.DataFrame, span: Span, view: View, *, limits: Sequence[tuple[int, int]]
) -> alt.LayerChart:
    """`past`: at, high; `expected`: at, middle, low, high; `limits`: (instant, limit) from the begin on where it
    changed and will change, by windows and launch plan, and 80 % of it, as dashed lines."""
    t, look = view.t, tones(dark=view.dark)
    past = past if len(past) else pd.DataFrame({"at": pd.Series(dtype="datetime64[ms, UTC]"), "high": []})
    most = max([*expected["high"], *past["high"]])  # the past may be of a limit that was lowered since
    top, title = max(max(limit for _, limit in limits) * 1.15, float(most) * 1.05), t("bots")
    x = time_x(span, view)

    def said(row: pd.Series) -> str:
        return f"{view.number(row['middle'])} ({view.number(row['low'])} – {view.number(row['high'])})"

    drawn = milliseconds(expected)
    drawn = drawn.assign(when=drawn["at"].map(view.stamp), said=drawn.apply(said, axis=1))
    to_come = alt.Chart(drawn)
    course = [*limits, (span.end, limits[-1][1])]
    levels = [{"at": at, "level": share * limit, "of": str(share)} for share in (1, 0.8) for at, limit in course]
    seen = with_gaps(past[["at", "high"]], HOUR)
    known = alt.Chart(seen.assign(when=seen["at"].map(view.stamp)))
    hover = known.mark_rule(strokeWidth=7, opacity=0, clip=True).encode(x=x, tooltip=tips(when=t("time"), high=title))
    was = known.mark_line(color=look.ink, strokeWidth=1.6, strokeCap="round", clip=True)
    layers = [
        to_come.mark_area(opacity=0.22, color=BLUE).encode(x=x, y=value_y("low", title, top), y2=alt.Y2("high:Q")),
        was.encode(x=x, y=value_y("high", title, top)),
        to_come.mark_line(color=BLUE, strokeWidth=1.8).encode(
            x=x, y=value_y("middle", title, top), tooltip=tips(when=t("time"), said=title)
        ),
        alt.Chart(pd.DataFrame(levels))
        .mark_line(interpolate="step-after", clip=True, strokeDash=[6, 4], strokeWidth=1, color=look.quiet)
        .encode(x=x, y=value_y("level", title, top), detail=alt.Detail("of:N")),
        # Of gaps, and of hours to come, there is nothing to open.
        clickable(hover.transform_filter("isValid(datum.high)"), nearest=False),
    ]
    return finished(layers, view, 260)
