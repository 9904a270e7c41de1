"""The catalogue of limits: every row of the contract's table, every spelling, both sides of every bound."""

import functools
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limiter.rules.limits import USER_LIMITS, defaults
from limiter.system_limits import CATALOGUE, LIMITS, get_recommended_limit_for_vps
from tests.conftest import ROOT
from tests.contract.catalogue import CATALOGUE as TABLE


def test_the_catalogue_is_the_contracts_table() -> None:
    rows = {one.name: (one.default, one.unit, one.scope, one.minimum, one.maximum) for one in CATALOGUE}
    assert rows == TABLE
    assert list(LIMITS) == [one.name for one in CATALOGUE]
    assert all(one.meaning for one in CATALOGUE)


def test_the_defaults_are_what_the_catalogue_accepts() -> None:
    for name, setting in defaults().items():
        assert setting.source == "default"
        assert setting.value == (None if setting.value is None else LIMITS[name].accept(setting.value))


def test_limits_of_scope_user_can_be_overridden() -> None:
    assert USER_LIMITS == ("MAX_BOTS_PER_USER", "MAX_TRADES_PER_DAY", "MAX_SIGNALS_PER_MINUTE_PER_USER")


@pytest.mark.parametrize("name", TABLE)
def test_both_bounds_are_accepted_and_nothing_beyond(name: str) -> None:
    limit = LIMITS[name]
    assert limit.accept(limit.minimum) == limit.minimum
    assert limit.accept(limit.maximum) == limit.maximum
    step = 1 if limit.whole else 0.01
    for beyond in (limit.minimum - step, limit.maximum + 1, -(10**400), 10**400, 10**5000):
        with pytest.raises(ValueError, match=name):
            limit.accept(beyond)


@pytest.mark.parametrize(
    ("name", "spelling", "value"),
    [
        ("ALERT_THRESHOLD", "80", 80),
        ("ALERT_THRESHOLD", "80%", 80),
        ("ALERT_THRESHOLD", " 80 % ", 80),
        ("ALERT_THRESHOLD", 80.0, 80),
        ("WEBSOCKET_RECONNECT", "5", 5),
        ("WEBSOCKET_RECONNECT", "5s", 5),
        ("WEBSOCKET_RECONNECT", "0.1", 0.1),
        ("WEBSOCKET_RECONNECT", 2.5, 2.5),
        ("BOT_LEASE_SECONDS", "60s", 60),
        ("MAX_CONCURRENT_BOTS", "250", 250),
        ("MAX_SIGNALS_PER_MINUTE_PER_USER", "none", None),
        ("MAX_SIGNALS_PER_MINUTE_PER_USER", "None", None),
        ("MAX_SIGNALS_PER_MINUTE_PER_USER", "0", 0),
    ],
)
def test_spellings(name: str, spelling: Any, value: float | None) -> None:
    accepted = LIMITS[name].accept(spelling)
    assert accepted == value
    assert type(accepted) is type(value)


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("ALERT_THRESHOLD", 0.8),
        ("ALERT_THRESHOLD", "0.8"),
        ("ALERT_THRESHOLD", "100%"),
        ("ALERT_THRESHOLD", "80s"),
        ("ALERT_THRESHOLD", "%"),
        ("MAX_CONCURRENT_BOTS", "200%"),
        ("MAX_CONCURRENT_BOTS", "1_000"),
        ("MAX_CONCURRENT_BOTS", "1e3"),
        ("MAX_CONCURRENT_BOTS", "٢٠٠"),
        ("MAX_CONCURRENT_BOTS", "none"),
        ("MAX_CONCURRENT_BOTS", ""),
        ("MAX_CONCURRENT_BOTS", 200.5),
        ("MAX_CONCURRENT_BOTS", math.nan),
        ("MAX_CONCURRENT_BOTS", math.inf),
        ("WEBSOCKET_RECONNECT", math.nan),
        ("WEBSOCKET_RECONNECT", "0.09"),
    ],
)
def test_what_is_no_spelling_is_refused_with_the_limits_name(name: str, spelling: Any) -> None:
    with pytest.raises(ValueError, match=name):
        LIMITS[name].accept(spelling)


@pytest.mark.parametrize("value", [True, None, [], {}, b"200"])
def test_what_is_no_number_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="MAX_CONCURRENT_BOTS"):
        LIMITS["MAX_CONCURRENT_BOTS"].accept(value)


@pytest.mark.parametrize(
    ("ram_gb", "bots"),
    [
        (2, 50), (4, 150), (8, 300), (16, 500),
        (3.99, 50), (4.0, 150), (7.9, 150), (15.9, 300), (32, 500), (10**400, 500),
        (1, 25), (1.99, 49), (0.5, 12), (0.01, 0),
    ],
)  # fmt: skip
def test_recommended_limit(ram_gb: float, bots: int) -> None:
    assert get_recommended_limit_for_vps(ram_gb) == bots


@pytest.mark.parametrize("ram_gb", [0, -1, math.nan, math.inf, "4", None, True, [4]])
def test_a_ram_that_is_not_a_positive_number_is_refused(ram_gb: Any) -> None:
    with pytest.raises(ValueError, match="positive"):
        get_recommended_limit_for_vps(ram_gb)


EDITS = {
    "200  # Change ici": 200, "250": 250, "get_recommended_limit_for_vps(4)": 150,
    "get_recommended_limit_for_vps(16)": 500,
    '"250"': 250, "0": 0,
}  # fmt: skip


def edited(folder: Path, value: str) -> subprocess.CompletedProcess[str]:
    """`python -m limiter serve` of a copy whose default was edited, as far as to a port that nobody may listen on."""
    shutil.copytree(ROOT / "limiter", folder / "limiter", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "limiter" / "system_limits.py"
    text, count = re.subn(r"^MAX_CONCURRENT_BOTS = .*$", f"MAX_CONCURRENT_BOTS = {value}", file.read_text(), flags=re.M)
    assert count == 1
    file.write_text(text)
    told = "from limiter import config; print(config.read().limits['MAX_CONCURRENT_BOTS'].value)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
    run = functools.partial(subprocess.run, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    reading = run([sys.executable, "-c", told])
    return reading if reading.returncode == 0 else run([sys.executable, "-m", "limiter", "serve"])


@pytest.mark.parametrize("value", EDITS)
def test_a_default_can_be_edited_in_its_place(tmp_path: Path, value: str) -> None:
    ran = edited(tmp_path, value)
    assert (ran.returncode, ran.stdout.strip()) == (0, str(EDITS[value])), ran.stderr


@pytest.mark.parametrize("value", ["-1", "200.5", "None", '"many"', "5_000_000", "True"])
def test_a_default_that_no_limit_can_be_stops_the_start(tmp_path: Path, value: str) -> None:
    ran = edited(tmp_path, value)
    assert ran.returncode == 2 and "system_limits.py : MAX_CONCURRENT_BOTS demande un" in ran.stderr, ran.stderr
    assert "Traceback" not in ran.stderr
