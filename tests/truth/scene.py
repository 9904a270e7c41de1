"""The marks that a browser really draws of a chart: its scene graph, by the very Vega that Streamlit ships."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit
from playwright.sync_api import Page, Route, sync_playwright

from tests.journeys.console_process import CHROMIUM
from tests.truth.drawn import Chart

STATIC = Path(streamlit.__file__).parent / "static"
WIDTH = 900  # px of the plot
DRAW = """async ([name, text]) => {
  const spec = JSON.parse(text), place = document.getElementById('chart');
  for (const embed of Object.values(await import('/static/js/' + name))) {
    let drawn;
    try { drawn = await embed(place, structuredClone(spec), {actions: false, renderer: 'svg'}); } catch { continue; }
    if (!drawn?.view) continue;
    const found = [];
    const walk = (mark, x, y) => {
      for (const item of mark.items) {
        const at = {x: x + (item.x || 0), y: y + (item.y || 0)};
        if (mark.marktype === 'group') for (const inner of item.items) walk(inner, at.x, at.y);
        else found.push({...at, kind: mark.marktype, role: mark.role, name: mark.name ?? null, text: item.text ?? null,
          x2: item.x2 === undefined ? null : x + item.x2, y2: item.y2 === undefined ? null : y + item.y2,
          width: item.width ?? null, height: item.height ?? null, fill: item.fill ?? null, stroke: item.stroke ?? null,
          opacity: item.opacity ?? 1, defined: item.defined !== false,
          datum: Object.fromEntries(Object.entries(item.datum ?? {}).filter(([, one]) => Object(one) !== one))});
      }
    };
    walk(drawn.view.scenegraph().root, 0, 0);
    const plot = {width: drawn.view.width(), height: drawn.view.height()};
    const paths = [...place.querySelectorAll('svg .mark-line path')].map(one => one.getAttribute('d'));
    drawn.finalize();
    return {found, plot, paths};
  }
  throw new Error('no embed of Vega in ' + name);
}"""


@dataclass(frozen=True)
class Scene:
    """What is drawn: `marks` with places in px from the plot's upper left corner, its size, and the paths of lines."""

    marks: list[dict[str, Any]]
    width: float
    height: float
    paths: list[str]

    def of(self, kind: str, *fields: str) -> list[dict[str, Any]]:
        """The marks of that kind whose rows have these fields."""
        return [
            one
            for one in self.marks
            if one["kind"] == kind and one["role"] == "mark" and all(f in one["datum"] for f in fields)
        ]

    def labels(self) -> list[tuple[float, str]]:
        """What stands beneath the plot, from the left: where, and what."""
        found = [one for one in self.marks if one["role"] == "axis-label" and one["y"] >= self.height]
        return sorted((one["x"], one["text"]) for one in found if one["x"] >= 0 and one["opacity"] and one["text"])


@dataclass(frozen=True)
class Stage:
    """A page of a browser to draw on."""

    page: Page

    def draw(self, chart: Chart) -> Scene:
        """The chart, as wide as on a screen."""
        rows = {name: [_plain(row) for row in rows] for name, rows in chart.datasets.items()}
        spec = chart.spec | {"datasets": rows, "width": WIDTH}
        (name,) = (path.name for path in (STATIC / "static" / "js").glob("embed.*.js"))
        drawn = self.page.evaluate(DRAW, [name, json.dumps(spec)])
        return Scene(drawn["found"], drawn["plot"]["width"], drawn["plot"]["height"], drawn["paths"])


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(one, float) and math.isnan(one) else one for name, one in row.items()}


@contextmanager
def stage() -> Iterator[Stage]:
    """A browser with Streamlit's own scripts and no network."""

    def answer(route: Route) -> None:
        path = STATIC / route.request.url.split("/", 3)[3]
        if path.suffix == ".js":
            route.fulfill(path=path, content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html><div id=chart></div>", content_type="text/html")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.route("**/*", answer)
        page.goto("http://charts.test/")
        yield Stage(page)
        browser.close()
