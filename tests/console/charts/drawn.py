"""What a chart draws, read from what the browser is sent: its layers, their rows and their axes."""

from typing import Any

import altair as alt


def layers(chart: alt.LayerChart) -> list[dict[str, Any]]:
    """Each layer with its `rows`; Altair checks the whole against the grammar of Vega-Lite on the way."""
    spec = chart.to_dict(validate=True)
    found: list[dict[str, Any]] = []
    for layer in spec["layer"]:
        data = layer.get("data", spec.get("data"))
        found.append(layer | {"rows": spec["datasets"][data["name"]], "kind": layer["mark"]["type"]})
    return found


def of_kind(chart: alt.LayerChart, kind: str) -> list[dict[str, Any]]:
    """The layers of one kind of mark."""
    return [layer for layer in layers(chart) if layer["kind"] == kind]


def labels(layer: dict[str, Any]) -> list[str]:
    """The texts of the time axis."""
    import json

    expression = layer["encoding"]["x"]["axis"]["labelExpr"]
    texts: list[str] = json.JSONDecoder().raw_decode(expression)[0]
    return texts
