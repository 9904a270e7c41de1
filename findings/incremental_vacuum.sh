#!/usr/bin/env bash
# Guessed: `PRAGMA incremental_vacuum(100)` through Python's sqlite3 gives up to 100 free pages back, as the SQLite shell
#   does, and `fetchall()` makes sure that it ran to its end.
# Seen: one page, whatever N is. SQLite frees a page a step, and sqlite3 steps a statement that has no columns once and
#   resets it; fetchall() has nothing to fetch. A file shrinks only if the pragma is run once a page.
# Version: Python 3.11.7 (SQLite 3.40.1); apsw 3.54.1.0, which steps to the end, frees 100
# Date: 2026-11-28
# Source: run here; sqlite.org/pragma.html#pragma_incremental_vacuum
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apsw==3.54.1.0
venv/bin/python - <<'PYTHON'
import sqlite3, sys
import apsw

file = sqlite3.connect("pages.db", isolation_level=None)
file.execute("PRAGMA auto_vacuum = INCREMENTAL")
file.execute("CREATE TABLE t (x)")
file.executemany("INSERT INTO t VALUES (?)", [("x" * 3000,)] * 1000)
file.execute("DELETE FROM t")


def free():
    return file.execute("PRAGMA freelist_count").fetchone()[0]


before = free()
file.execute("PRAGMA incremental_vacuum(100)").fetchall()
by_sqlite3 = before - free()
before = free()
other = apsw.Connection("pages.db")
other.execute("PRAGMA incremental_vacuum(100)").fetchall()
other.close()
by_apsw = before - free()
print(f"asked for 100 pages: sqlite3 {sqlite3.sqlite_version} gave {by_sqlite3} back, apsw {apsw.sqlite_lib_version()} gave {by_apsw}")
sys.exit((by_sqlite3, by_apsw) != (1, 100))
PYTHON
