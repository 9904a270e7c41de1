#!/usr/bin/env bash
# Guessed: a probe that takes SQLite's write lock, updates a row with the values that it has and commits (synchronous=FULL) writes
#   to the disk, and so tells whether the disk takes anything; changes() says 1.
# Seen: it succeeds on a disk that takes nothing (here a limit of 0 bytes a file; an ext4 that was made read-only by an error
#   does the same). An UPDATE that leaves a row as it is dirties no page, so the commit writes no frame and syncs nothing. A
#   health check by it is green while every real write fails. One that changes the row and changes it back in one transaction
#   writes, and fails as it should.
# Version: apsw 3.54.1.0 (SQLite 3.54.1), the sqlite3 of Python 3.11 (SQLite 3.40.1)
# Date: 2026-11-28
# Source: run here; btreeOverwriteContent() of src/btree.c, which writes a page only where memcmp finds a difference
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apsw==3.54.1.0
cat > "$folder/probe.py" <<'PYTHON'
import os, resource, sqlite3, sys, apsw

os.chdir(sys.argv[1])
SAME = ["UPDATE row SET n = 7"]
THERE_AND_BACK = ["UPDATE row SET n = 8", "UPDATE row SET n = 7"]

def tried(run, statements):
    run("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            run(statement)
        run("COMMIT")
    except (apsw.Error, sqlite3.Error) as error:
        try:
            run("ROLLBACK")
        except (apsw.Error, sqlite3.Error):
            pass  # it was rolled back already
        return f"fails: {error}"
    return "succeeds"

seen = {}
for name, version, run in (
    ("apsw", apsw.sqlite_lib_version(), apsw.Connection("apsw.db").execute),
    ("sqlite3", sqlite3.sqlite_version, sqlite3.connect("sqlite3.db", isolation_level=None).execute),
):
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE row (n INTEGER)",
                      "INSERT INTO row VALUES (7)"):
        run(statement)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    for what, statements in (("the same", SAME), ("there and back", THERE_AND_BACK)):
        seen[name, what] = tried(run, statements)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for what in ("the same", "there and back"):
        sys.stderr.write(f"{name} {version}, no byte may be written: {what:14} {seen[name, what]}\n")
as_seen = all(told.startswith("succeeds" if what == "the same" else "fails") for (_, what), told in seen.items())
sys.exit(0 if as_seen else f"otherwise: {seen}")
PYTHON
"$folder/venv/bin/python" "$folder/probe.py" "$folder"
