"""Which SQLite files are not opened for writing: those that are not ours as we left them, each with a sentence.

On a network file system, written over in place, emptied, another program's, damaged; and what an error of SQLite means
for who runs the limiter.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from limiter.store.location import StoreError, spoiled_mark
from limiter.store.schema import APPLICATION_ID
from limiter.units import MIB

WHOLE_BYTES = 32 * MIB
"""A file up to that size is checked whole at the open, in some 20 ms; HISTORY of a larger one by jobs/integrity.py."""
HISTORY = frozenset((
    "ended_sessions", "snapshots", "refusal_counts", "refusals", "trades", "trade_days", "rate_days", "usage_hours",
    "usage_days", "audit", "deliveries",
))  # fmt: skip
"""Tables that grow with the years. No decision reads more than their newest rows."""
NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p")


def refuse_spoiled(path: Path) -> None:
    """What is in the file and what is in its log may be of two databases: SQLite would make one of them."""
    if (mark := spoiled_mark(path)).exists():
        raise StoreError(
            fr=f"{path} ou son -wal a été réécrit sur place pendant qu'un limiteur l'avait ouvert ({mark} dit quand), "
            f"et n'a peut-être que la moitié de ce qu'il avait : `limiter restore FICHIER`, ou supprime {mark} pour "
            "continuer avec le fichier tel qu'il est (juste, et sans perte, si ce n'était qu'un `touch -m`)",
            en=f"{path} or its -wal file was written over in place while a limiter had it open ({mark} says when), and "
            f"may hold half of what it held: `limiter restore BACKUP`, or remove {mark} to go on with it as it is "
            "(right, and nothing is lost, if it was only a `touch -m`)",
        )


def refuse_empty(path: Path) -> None:
    """SQLite takes a file that is gone or was emptied for a new database: every slot would look free."""
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and not (path.exists() and path.stat().st_size):
        there = path.exists()
        raise StoreError(
            fr=f"{path} {'est vide' if there else 'a disparu'} mais son -wal est là : restaure une sauvegarde, "
            "garde le -wal",
            en=f"{path} is {'empty' if there else 'gone'} but its -wal file is there: restore a backup, do not delete "
            "the -wal file",
        )
    if path.exists() and not path.stat().st_size:
        raise StoreError(
            fr=f"{path} est vide : restaure une sauvegarde, ou supprime le fichier pour recommencer à neuf",
            en=f"{path} is empty: restore a backup, or delete the file to begin anew",
        )


def refuse_foreign(path: Path) -> None:
    """Before the first PRAGMA of the writer: journal_mode=WAL would already change another program's file."""
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        empty = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    if application != APPLICATION_ID and not (application == 0 and empty):
        raise StoreError(
            fr=f"{path} est la base SQLite d'un autre programme : nomme un autre fichier",
            en=f"{path} is a SQLite database of another program: name another file",
        )
    if application == APPLICATION_ID and empty:
        raise StoreError(
            fr=f"{path} a perdu ses tables : restaure une sauvegarde",
            en=f"{path} has lost its tables: restore a backup",
        )


def refuse_network(path: Path) -> None:
    """WAL needs shared memory, which a network file system does not give (sqlite.org/wal.html)."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return
    folder = str(path.parent.resolve())
    under = [(point, kind) for point, kind in mounts if folder == point or folder.startswith(point.rstrip("/") + "/")]
    if under and (kind := max(under, key=lambda mount: len(mount[0]))[1]) in NETWORK_FILE_SYSTEMS:
        raise StoreError(
            fr=f"{path} est sur un système de fichiers réseau ({kind}) : mets la base sur un disque local",
            en=f"{path} is on a network file system ({kind}): put the database on a local disk",
        )


def check_file(connection: Connection, path: Path) -> None:
    """Raise StoreError where this file system or SQLite does not do as it is told, or pages are damaged."""

    def pragma(name: str) -> Any:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    for name, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
        if (found := pragma(name)) != wanted:
            raise StoreError(
                fr=f"{path} : {name} vaut {found}, pas {wanted} : ce système de fichiers ou ce SQLite ne convient pas",
                en=f"{path}: {name} is {found}, not {wanted}: this file system or SQLite build cannot be used",
            )
    raw: Any = connection.connection.dbapi_connection
    whole = path.stat().st_size <= WHOLE_BYTES
    if (problem := quick_check(raw) if whole else quick_check(raw, without=HISTORY)) is not None:
        raise StoreError(
            fr=f"{path} est abîmé ({problem}) : restaure une sauvegarde, garde son -wal",
            en=f"{path} is damaged ({problem}): restore a backup, do not delete its -wal file",
        )


def quick_check(connection: sqlite3.Connection, without: frozenset[str] = frozenset()) -> str | None:
    """What is wrong with the pages of a file, or of its tables `without` some; None where they are sound."""
    if not without:
        checks = ["quick_check(1)"]
    else:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        checks = [f"quick_check('{name}')" for (name,) in tables if name not in without]
    found = (connection.execute(f"PRAGMA {check}").fetchone()[0] for check in checks)
    return next((str(problem) for problem in found if problem != "ok"), None)


def what_is_wrong(error: Exception, path: Path) -> StoreError:
    """What an error of SQLite means for who runs the limiter."""
    text = str(getattr(error, "orig", None) or error)
    if "not a database" in text or "malformed" in text or "disk image" in text:
        return StoreError(
            fr=f"{path} est abîmé ou n'est pas une base SQLite ({text}) : restaure une sauvegarde, garde son -wal",
            en=f"{path} is damaged or not a SQLite database ({text}): restore a backup, do not delete its -wal file",
        )
    if "readonly" in text or "unable to open" in text:
        return StoreError(
            fr=f"{path} ne peut être ouvert en écriture ({text}) : vois le dossier, son propriétaire, son disque",
            en=f"{path} cannot be opened for writing ({text}): check the folder, its owner and the file system",
        )
    if "disk I/O" in text or "is full" in text:
        return StoreError(
            fr=f"{path} ne peut être écrit ({text}) : le disque est-il plein ?",
            en=f"{path} cannot be written ({text}): is the disk full?",
        )
    return StoreError(fr=f"{path} : {text}", en=f"{path}: {text}")
