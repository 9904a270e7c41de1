"""Who may call what, for every endpoint there is: from ROUTES, so that a new one cannot be forgotten."""

from collections.abc import Iterator

import httpx
import pytest

from limiter.api.routes import ROUTES, Route
from tests.conftest import Limiter, refused, served

SCOPES = {
    "bots": {"bots", "any"},
    "admin:read": {"admin:read", "any"},
    "admin:write": {"bots", "admin:read", "any", "admin:write"},
}
OPEN = {"/livez", "/readyz", "/api/admin/health", "/openapi.json", "/admin"}
READ_BY_POST = {"/api/admin/limits/preview"}
"""Computes and changes nothing."""


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Limiter, dict[str, str]]]:
    """A limiter with one key of each scope."""
    one = Limiter(tmp_path_factory.mktemp("keyed"), {})
    keys = {scope: one.new_key(scope) for scope in SCOPES}
    with served(one):
        yield one, keys


def ask(one: Limiter, route: Route, key: str | None) -> httpx.Response:
    """With a body that no endpoint takes, so that nothing is changed."""
    path = route.path.replace("{", "").replace("}", "")
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return one.client.request(route.method, path, json=[] if route.method != "GET" else None, headers=headers)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_key_opens_what_its_scope_says_and_nothing_else(keyed: tuple[Limiter, dict[str, str]], route: Route) -> None:
    one, keys = keyed
    if route.scope is None:
        assert route.path in OPEN
        assert ask(one, route, None).status_code in (200, 307)
        return
    refused(ask(one, route, None), 401, "unauthorized")
    for scope, opened in SCOPES.items():
        answer = ask(one, route, keys[scope])
        if route.scope in opened:
            assert answer.status_code not in (401, 403), answer.text
        else:
            refused(answer, 403, "forbidden")


def test_what_changes_something_or_shows_keys_is_for_writers_alone() -> None:
    for route in ROUTES:
        if not route.path.startswith("/api/admin/"):
            continue
        if (route.method != "GET" and route.path not in READ_BY_POST) or route.path.startswith("/api/admin/keys"):
            assert route.scope == "admin:write", route


def test_the_open_door_of_loopback_leads_to_no_write(tmp_path_factory: pytest.TempPathFactory) -> None:
    with served(Limiter(tmp_path_factory.mktemp("open"), {})) as one:
        for route in ROUTES:
            if route.scope == "admin:write":
                refused(ask(one, route, None), 401, "unauthorized")
