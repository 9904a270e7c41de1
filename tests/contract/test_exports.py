"""What is taken away as CSV, by the API and by the commands, is the JSON of the same endpoint."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from limiter.answers.box import BoxAnswer, BoxSize, Stranger
from limiter.answers.csv_text import TABLES, as_csv
from limiter.answers.deciding import ForecastAnswer
from limiter.cli import main
from tests.conftest import Limiter, granted, refused, served, wrong_fields

PATHS = {  # endpoint: its command, and each table of it as a field of the JSON; "figures" is the answer itself
    "forecast": ("forecast", ("points",)),
    "sizing?users=250": ("sizing --users 250", ("figures", "days")),
    "box": ("box", ("figures", "strangers")),
    "lease-evidence": ("lease", ("rows",)),
    "state": ("state", ("sessions",)),
    "explain/{}": ("explain {}", ("holders",)),
    "usage": ("who", ("uses", "totals", "closing", "idle", "asked")),
}
CASES = [(path, table) for path, (_, tables) in PATHS.items() for table in tables]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Limiter, str]]:
    """A limiter of 3 bots that holds 3 and refused one, and the id of that refusal."""
    with served(Limiter(tmp_path_factory.mktemp("full"), {"MAX_CONCURRENT_BOTS": 3, "LIMITER_LANG": "en"})) as one:
        one.set_env({"LIMITER_KEY": one.admin_key})
        held = one.fill(3)
        beat = {"session_id": held[0]["session_id"], "memory_bytes": 60 * 2**20}
        granted(one.post("/api/bots/heartbeat", beat))
        yield one, str(refused(one.start(), 503, "server_full")["request_id"])


def flat(row: dict[str, Any]) -> dict[str, str]:
    """A row of the JSON in the columns of the CSV, written apart from it; what is null has as many as it would have."""
    found: dict[str, str] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            found |= {f"{name}_{inner}": text for inner, text in flat(value).items()}
        elif not isinstance(value, list):
            found[name] = "" if value is None else str(value)
    return found


def known(row: dict[str, str]) -> dict[str, str]:
    """What is not empty, without what follows the memory of the machine from one call to the next."""
    moving = ("rest_mb", "sentence", "carries_", "next_")
    return {name: text for name, text in row.items() if text and not name.startswith(moving)}


@pytest.mark.parametrize(("path", "table"), CASES)
def test_the_csv_of_an_endpoint_and_of_its_command_is_its_json(
    full: tuple[Limiter, str], path: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter, refusal = full
    command, tables = PATHS[path]
    wanted = {"format": "csv"} | ({"table": table} if table != tables[0] else {})
    url = f"/api/admin/{path.format(refusal)}"
    answer = granted(limiter.client.get(url))
    reply = limiter.client.get(httpx.URL(url).copy_merge_params(wanted))
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    answer.pop("success")
    json_rows = [answer] if table == "figures" else answer[table] or []
    assert len(rows) == len(json_rows)
    for row, one in zip(rows, json_rows, strict=True):
        assert known(row) == known(flat(one))

    monkeypatch.chdir(limiter.folder)
    arguments = [*command.format(refusal).split(), "--csv", *(["--table", table] if table != tables[0] else [])]
    done = CliRunner().invoke(main, arguments, env=limiter.env)
    assert (done.exit_code, done.stderr) == (0, f"{answer['needs']}\n" if answer.get("needs") else "")
    again = list(csv.DictReader(io.StringIO(done.stdout_bytes.decode(), newline="")))
    assert [known(row) for row in again] == [known(row) for row in rows]
    assert done.stdout_bytes.decode().splitlines()[0] == reply.text.splitlines()[0]


def test_every_answer_that_has_tables_is_held_to_them() -> None:
    assert sorted(tables for _, tables in PATHS.values()) == sorted(TABLES.values())


def test_what_there_is_no_such_thing_of_is_named(full: tuple[Limiter, str], tmp_path: Path) -> None:
    client = full[0].client
    assert wrong_fields(client.get("/api/admin/forecast?format=xml"), 422) == {"format"}
    assert wrong_fields(client.get("/api/admin/sizing?format=csv&table=nights"), 422) == {"table"}
    described = client.get("/openapi.json").json()["paths"]["/api/admin/box"]["get"]
    (table,) = (one["schema"] for one in described["parameters"] if one["name"] == "table")
    assert table == {"enum": ["figures", "strangers"]}
    assert "text/csv" in described["responses"]["200"]["content"]


def test_a_command_line_that_a_spreadsheet_would_run_is_text() -> None:
    stranger = Stranger(7, "sh", "=cmd|' /C calc'!A0", 1.5, "2026-11-24T12:00:00.000Z")
    size = BoxSize(4, 150, 24)
    box = BoxAnswer(1.0, None, 2.0, 0, 0, None, None, None, None, "", None, size, None, [stranger], None)
    (row,) = csv.DictReader(io.StringIO(as_csv(box, "strangers")))
    assert row["command"] == "'=cmd|' /C calc'!A0"
    (figures,) = csv.DictReader(io.StringIO(as_csv(box)))
    assert (figures["carries_bots"], figures["table_bots"], figures["next_bots"]) == ("", "150", "")
    nothing = ForecastAnswer(14, None, 80, None, None, None, None, 0, None, "Too early")
    assert as_csv(nothing) == '"at","middle","low","high"\r\n'
