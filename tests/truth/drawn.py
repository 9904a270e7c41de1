"""What a page draws: the Vega-Lite specs and the rows of it as they are sent to the browser."""

import io
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from streamlit.testing.v1 import AppTest

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Chart:
    """A chart, with the text that stands for it (`alt`); `datasets` are its rows by name."""

    alt: str
    spec: dict[str, Any]
    datasets: dict[str, Rows]

    def layers(self, kind: str, **mark: Any) -> list[dict[str, Any]]:
        """The layers of that mark (and of these properties of it), each with its `rows`."""
        return [
            layer | {"rows": self.datasets[layer.get("data", self.spec.get("data"))["name"]]}
            for layer in self.spec["layer"]
            if layer["mark"]["type"] == kind and all(layer["mark"].get(name) == value for name, value in mark.items())
        ]

    def field(self, kind: str, channel: str, field: str) -> dict[str, Any]:
        """The one layer of that mark which draws that field there."""
        found = [one for one in self.layers(kind) if one["encoding"].get(channel, {}).get("field") == field]
        assert len(found) == 1, (self.alt, kind, channel, field, len(found))
        return found[0]

    def tooltip(self) -> tuple[list[str], Rows]:
        """The titles of what is said of a mark, and the marks' rows."""
        layer = next(one for one in reversed(self.spec["layer"]) if "tooltip" in one["encoding"])
        name = layer.get("data", self.spec.get("data"))["name"]
        return [one["title"] for one in layer["encoding"]["tooltip"]], self.datasets[name]


def charts(app: AppTest) -> list[Chart]:
    """The charts of a page, from its top."""
    found = []
    for element in app.get("vega_lite_chart"):
        datasets = {}
        for one in element.proto.datasets:
            with pa.ipc.open_stream(io.BytesIO(one.data.data)) as stream:
                datasets[one.name] = stream.read_all().to_pylist()
        found.append(Chart(element.proto.alt, json.loads(element.proto.spec), datasets))
    return found


def ticks(layer: dict[str, Any], channel: str = "x") -> dict[int, Any]:
    """What the axis says at which values."""
    axis = layer["encoding"][channel]["axis"]
    texts, _ = json.JSONDecoder().raw_decode(axis["labelExpr"])
    return dict(zip(axis["values"], texts, strict=True))
