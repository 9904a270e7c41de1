"""The OpenAPI 3.1 document, derived from ROUTES, the body and answer types, and REFUSALS. Nothing is written twice."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from limiter.answers.csv_text import TABLES
from limiter.answers.parts import IDENTIFIER, Ok
from limiter.answers.refusals import Problem
from limiter.api.exports import FORMATS
from limiter.http.wire import encode
from limiter.rules.refusals import REASONS, REFUSALS

_REF = "#/components/schemas/{name}"
_NUMBER = {"type": "integer", "minimum": 0}
_INSTANT = {"type": "string", "format": "date-time"}
QUERY: dict[str, dict[str, Any]] = {
    "user_id": {"type": "string", "pattern": IDENTIFIER},
    "status": {"enum": ["active", "suspect", "ended"]},
    "state": {"enum": ["open", "acknowledged", "resolved"]},
    "reason": {"enum": [reason.name for reason in REFUSALS]},
    "order": {"enum": ["memory", "cpu"]},
    "limit": {"type": "integer", "minimum": 1, "maximum": 500},
    "cursor": _NUMBER,
    "fail_at": {"type": "integer", "minimum": 1, "maximum": 100},
    "from": _INSTANT,
    "to": _INSTANT,
    "since": _INSTANT,
    "at": _INSTANT,
    "days": {"type": "integer", "minimum": 1, "maximum": 28},
    "idle_seconds": {"type": "integer", "minimum": 60, "maximum": 2_592_000},
    "refused": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "users": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
    "step": {"type": "integer", "minimum": 1, "maximum": 31_536_000},
    "format": {"enum": list(FORMATS)},
}


def build(version: str, routes: Sequence[Any]) -> bytes:
    """The document of these routes as JSON."""
    bodies: list[Any] = [route.body for route in routes if route.body]
    answers = {kind for route in routes for kind in route.answers.values() if not isinstance(kind, str)}
    _, components = msgspec.json.schema_components([*bodies, *answers, Problem], ref_template=_REF)
    for kind in answers:
        if issubclass(kind, Ok):
            shape = components[kind.__name__]
            shape["properties"] = {"success": {"const": True}, **shape["properties"]}
            shape["required"] = ["success", *shape.get("required", [])]
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    described = {
        "openapi": "3.1.0",
        "info": {"title": "Bot-capacity limiter", "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "lim_<id>_<secret>"}},
        },
    }
    return encode(described)


def _operation(route: Any) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", route.path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": IDENTIFIER}}
        for name in names
    ]
    parameters += [{"name": name, "in": "query", "schema": _schema(route, name)} for name in route.query]
    if route.path == "/api/bots/start":
        parameters.append(
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "pattern": IDENTIFIER}}
        )
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}",
        "summary": (route.handler.__doc__ or "").strip().splitlines()[0],
        "tags": [route.handler.__module__.rpartition(".")[2]],
        "parameters": parameters,
        "responses": _responses(route),
    }
    if route.scope is not None:
        operation["security"] = [{"key": []}, {}] if route.scope != "admin:write" else [{"key": []}]
        operation["description"] = f"Key of scope {'bots or admin:read' if route.scope == 'any' else route.scope}."
    if route.body is not None:
        content = {"application/json": {"schema": {"$ref": _REF.format(name=route.body.__name__)}}}
        operation["requestBody"] = {"required": route.needs_body, "content": content}
    return operation


def _schema(route: Any, name: str) -> dict[str, Any]:
    return {"enum": list(TABLES[route.answers[200]])} if name == "table" else QUERY[name]


def _responses(route: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, kind in route.answers.items():
        if kind == "redirect":
            found[str(status)] = {"description": "To the console"}
        elif isinstance(kind, str):
            found[str(status)] = {"description": "OK", "content": {kind: {"schema": {}}}}
        else:
            content: dict[str, Any] = {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}
            if "format" in route.query:
                content["text/csv"] = {"schema": {"type": "string"}}
            found[str(status)] = {"description": "OK", "content": content}
    problem = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    for status, names in sorted(_refusals(route).items()):
        if str(status) in found:
            found[str(status)]["content"] |= problem
        else:
            found[str(status)] = {"description": ", ".join(sorted(names)), "content": problem}
    return found


def _refusals(route: Any) -> dict[int, set[str]]:
    """What every route may refuse with, and what this one says of itself, by status."""
    by_status: dict[int, set[str]] = {400: {"invalid_request"}, 503: {"overloaded", "storage_unavailable"}}
    if route.query or "{" in route.path or route.body:
        by_status.setdefault(422, set()).add("invalid_request")
    if route.body is not None:
        for status in (413, 415):
            by_status[status] = {"invalid_request"}
    if route.scope is not None:
        for name in ("unauthorized", "forbidden", "too_many_attempts"):
            by_status.setdefault(REASONS[name].status, set()).add(name)
    for name in route.reasons:
        by_status.setdefault(REASONS[name].status, set()).add(name)
    return by_status
