"""The power goes, and the disk errs. A real limiter works on a disk that keeps a log (disk_log.c); the log is then cut
at random moments, what was not synced by then is lost, kept in part or torn, and the limiter's own opening reads what
is left. Modelled are lost, reordered and torn writes; not modelled is a disk that lies about its syncs.
"""

import random
import shutil
import sqlite3
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from faults.figures import Figure, Missing
from faults.running import ROOMY, running, seconds_until
from limiter.store.engine import open_writer
from limiter.store.location import StoreError
from tests.conftest import Limiter, granted

SOURCE = Path(__file__).with_name("disk_log.c")
HEAD = struct.Struct("<ccHIq")
SECTOR = 512
ASKED = 150  # rounds of start, trade and stop: some 1 000 pages of write-ahead log for each checkpoint
Keep = Literal["none", "some", "torn"]
KEEP: tuple[Keep, ...] = ("none", "some", "torn")


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the disk's log; `end` is how long the log was with it."""

    kind: bytes
    file: bytes
    offset: int
    data: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a client was told, and how long the disk's log was when it had the answer."""

    at: int
    kind: str
    name: Any


def shim(folder: Path) -> Path:
    """The compiled log. Raises Missing without a C compiler."""
    if shutil.which("gcc") is None:
        raise Missing("gcc is not installed (Debian, Ubuntu: apt-get install gcc libc6-dev)")
    built = folder / "disk_log.so"
    command = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(built), str(SOURCE), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return built


def operations(log: Path) -> list[Operation]:
    """The log, parsed."""
    data, at, found = log.read_bytes(), 0, []
    while at < len(data):
        kind, file, _, length, offset = HEAD.unpack_from(data, at)
        at += HEAD.size + length
        found.append(Operation(kind, file, offset, data[at - length : at], at))
    return found


def left(done: list[Operation], keep: Keep, chance: random.Random, synced: bool = True) -> dict[bytes, bytearray]:
    """What the disk has of each file after these operations and a power cut; `synced`: whether syncs count."""
    last = {op.file: n for n, op in enumerate(done) if op.kind == b"s" and (synced or op.file == b"d")}
    files = {b"d": bytearray(), b"w": bytearray()}
    for n, op in enumerate(done):
        if op.kind == b"s":
            continue
        data = op.data
        if n > last.get(op.file, -1):
            if keep == "none" or chance.random() < 0.5:
                continue
            if keep == "torn" and len(data) > SECTOR:
                data = data[: SECTOR * chance.randrange(len(data) // SECTOR)]
        content = files[op.file]
        if op.kind == b"t":
            del content[op.offset :]
            content.extend(bytes(op.offset - len(content)))
            continue
        content.extend(bytes(max(0, op.offset - len(content))))
        content[op.offset : op.offset + len(data)] = data
    return files


def work(one: Limiter, log: Path, rounds: int) -> Iterator[Told]:
    """Starts, trades, stops and changes of limits, with what was told and when."""

    def told(kind: str, name: Any) -> Told:
        return Told(log.stat().st_size, kind, name)

    for n in range(rounds):
        session = one.session(f"u{n % 7}", f"b{n}")
        yield told("start", int(session["public_id"][1:]))
        granted(one.trade(session, trade_id=f"t{n}"), 201)
        yield told("trade", f"t{n}")
        if n % 3:
            granted(one.end(session))
            yield told("stop", int(session["public_id"][1:]))
        if n % 10 == 0:
            yield told("change", one.set_limits(ALERT_THRESHOLD=50 + n % 40)["version"])


def known(path: Path) -> dict[str, set[Any]]:
    """What the database knows of what can be told. Raises StoreError where it is not sound."""
    engine = open_writer(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:

            def column(sql: str) -> set[Any]:
                return set(connection.exec_driver_sql(sql).scalars())

            if connection.exec_driver_sql("PRAGMA integrity_check").scalar() != "ok":
                raise StoreError(fr="integrity_check", en="integrity_check")
            return {
                "start": column("SELECT number FROM sessions"),
                "stop": column("SELECT number FROM ended_sessions"),
                "trade": column("SELECT trade_id FROM trades"),
                "change": column("SELECT version FROM limit_versions"),
            }
    finally:
        engine.dispose()


def cut(
    folder: Path, log: list[Operation], told: list[Told], cuts: int, keeps: tuple[Keep, ...], synced: bool = True
) -> Counter[str]:
    """So many power cuts at moments of the log: answers lost, files that do not open, rows that differ."""
    chance, found = random.Random(cuts), Counter[str]()
    first = next(n for n, op in enumerate(log) if op.end >= told[0].at)
    for number in range(cuts):
        moment = chance.randrange(first, len(log))
        files = left(log[:moment], keeps[number % len(keeps)], chance, synced)
        path = folder / f"cut-{number}.db"
        path.write_bytes(files[b"d"])
        path.with_name(path.name + "-wal").write_bytes(files[b"w"])
        try:
            rows = known(path)
        except (StoreError, sqlite3.Error):
            found["corrupt"] += 1
        else:
            lost = sum(one.name not in rows[one.kind] for one in told if one.at <= log[moment - 1].end)
            found["lost"] += lost
            found["cuts that lost"] += lost > 0
        for part in folder.glob(f"cut-{number}.db*"):
            part.unlink()
    return found


def power_cuts(folder: Path, cuts: int) -> Iterator[Figure]:
    """A disk that loses, keeps in part or tears what was not synced."""
    log = folder / "disk.log"
    with running(folder, **ROOMY, LD_PRELOAD=shim(folder), DISK_LOG=log) as one:
        told = list(work(one, log, ASKED))
    parsed = operations(log)
    found = cut(folder, parsed, told, cuts, KEEP)
    yield Figure("power cuts", cuts)
    yield Figure("syncs in the log that is cut", sum(op.kind == b"s" for op in parsed))
    yield Figure(
        "of them checkpoints", sum((op.kind, op.file) == (b"s", b"d") and op.end > told[0].at for op in parsed)
    )
    yield Figure("acknowledged answers lost", found["lost"], 0)
    yield Figure("databases that do not open or fail integrity_check", found["corrupt"], 0)
    blind = cut(folder, parsed, told, max(10, cuts // 5), ("none",), synced=False)
    yield Figure("control: cuts of the same log without its syncs that find no loss", max(0, 1 - blind["lost"]), 0)


def set_failure(control: Path, at: int) -> None:
    """The so-many-th operation on the disk from now on fails; 0: none."""
    with control.open("r+b") as file:
        file.write(struct.pack("<i", at))


def write_errors(folder: Path, most: int) -> Iterator[Figure]:
    """The n-th operation on the disk fails once, for every n: it costs one batch and nothing else."""
    control = folder / "fail"
    control.write_bytes(bytes(4))
    wrong, slowest, refused, acknowledged = 0, 0.0, 0, set[str]()
    with running(folder, **ROOMY, LD_PRELOAD=shim(folder), DISK_FAIL=control) as one:
        for n in range(1, most + 1):
            set_failure(control, n)
            for attempt in range(3):
                answer = one.start(f"u{n}", f"b{attempt}")
                if answer.status_code == 201:
                    acknowledged.add(answer.json()["session"]["public_id"])
                else:
                    refused += 1
                    wrong += answer.status_code != 503
            set_failure(control, 0)
            slowest = max(slowest, seconds_until(lambda: one.start("again").status_code == 201, 10))
        one.restart(kill=True)
        listed = {row["public_id"] for row in every(one)}
    yield Figure("operations failed, one a round", most)
    yield Figure("starts refused by them", refused)
    yield Figure("answers other than 201 and 503", wrong, 0)
    yield Figure("acknowledged starts lost", len(acknowledged - listed), 0)
    yield Figure("slowest recovery", slowest, 5, "s")


def every(one: Limiter) -> Iterator[Any]:
    """Every session that holds a slot, page by page."""
    cursor = None
    while True:
        query: dict[str, str | int] = {"status": "active", "limit": 500}
        if cursor:
            query["cursor"] = cursor
        page = granted(one.client.get("/api/admin/sessions", params=query))
        yield from page["items"]
        if not (cursor := page["next_cursor"]):
            return
