"""The commands on the database: keys, backup, restore, migrate, check, copy.

What writes to a SQLite file goes through the running limiter where there is one (its lock file says where, with a key
that lives as long as it does), for a file has one writer; else, and on PostgreSQL, the command is a writer itself.
"""

import contextlib
import getpass
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DatabaseError

from limiter.access import make_key
from limiter.config import Config, language
from limiter.rules.changes import Write
from limiter.rules.records import AuditEntry, Key, Scope
from limiter.rules.state import State
from limiter.rules.words import Words
from limiter.store import read, schema
from limiter.store.audit_head import ACCEPTED, AuditHead, broken_at, head_of, restore_into
from limiter.store.backup import copy, sync
from limiter.store.engine import open_reader, open_writer, reading
from limiter.store.location import StoreError, refuse_lost, spoiled_mark, sqlite_path
from limiter.store.lock import Lock
from limiter.store.migrations import MIGRATIONS
from limiter.store.open import writer_of


def _file(config: Config) -> Path:
    path = sqlite_path(config.database_url)
    if path is None:
        raise StoreError(
            fr="cette commande est pour un fichier SQLite : PostgreSQL a pg_dump et pg_restore (docs/operating.md)",
            en="this command is for a SQLite file: PostgreSQL has pg_dump and pg_restore (docs/operating.md)",
        )
    return path


def _owner(config: Config) -> dict[str, str]:
    """Who writes to the file, and where they answer; empty where nobody does, and on PostgreSQL, where all may."""
    path = sqlite_path(config.database_url)
    return Lock(path).owner() if path is not None else {}


def _ask(owner: dict[str, str], method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The running limiter's answer, or StoreError with its sentence."""
    try:
        headers = {"Authorization": f"Bearer {owner['key']}", "Accept-Language": language()}
        answer = httpx.request(method, owner["url"] + path, json=body, headers=headers, timeout=5, trust_env=False)
        told: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError, KeyError) as error:
        pid = owner.get("pid", "?")
        raise StoreError(
            fr=f"le limiteur (pid {pid}) tient la base mais ne répond pas ({error!r}) : réessaie",
            en=f"the limiter (pid {pid}) holds the database but does not answer ({error!r}): try again",
        ) from error
    if answer.is_error:
        sentence = str(told.get("error", f"HTTP {answer.status_code}"))
        raise StoreError(fr=sentence, en=sentence)  # in the language that was asked for
    return told


@contextlib.contextmanager
def _alone(config: Config) -> Iterator[None]:
    """While this process may write to the file, and no other; on PostgreSQL the batches themselves take turns."""
    path = sqlite_path(config.database_url)
    lock = Lock(path) if path is not None else None
    if lock is not None:
        lock.acquire()
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _write(config: Config, change: Callable[[State, int], None]) -> None:
    """Be a writer for one change."""
    with _alone(config):
        refuse_lost(config.database_url, config.backup_dir)
        writer = writer_of(config.database_url)
        now = int(time.time() * 1000)
        state = writer.restore(config.limits, config.timezone, now)
        state.begin()
        writer.begin()
        change(state, now)
        writer.save(state)
        writer.commit()
        writer.close()


def create_key(config: Config, scope: Scope, name: str) -> str:
    """A new key's text, told here and never again."""
    if owner := _owner(config):
        return str(_ask(owner, "POST", "/api/admin/keys", {"scope": scope, "name": name})["key"])
    text, key = make_key(scope, name, int(time.time() * 1000))
    row = {field: getattr(key, field) for field in ("id", "name", "scope", "digest", "created_at", "revoked_at")}
    _write(config, lambda state, now: _decide(Write("keys", row, "cli", "key", f"{key.id} {scope}"), state, now))
    return text


def list_keys(config: Config) -> list[Key]:
    """Every key, revoked ones too; never a secret. Raises StoreError where the database cannot be read."""
    engine = open_reader(config.database_url)
    try:
        with reading(engine) as connection:
            return read.keys.keys(connection)
    except DatabaseError as error:
        raise StoreError(
            fr=f"la base ne peut être lue ({error.orig}) : limiter check",
            en=f"the database cannot be read ({error.orig}): limiter check",
        ) from error


def revoke_key(config: Config, key_id: str) -> None:
    """End a key. Raises StoreError where there is none of that id."""
    if key_id not in {key.id for key in list_keys(config)}:
        raise StoreError(fr=f"aucune clé n'a l'id {key_id}", en=f"no key has the id {key_id}")
    if owner := _owner(config):
        _ask(owner, "DELETE", f"/api/admin/keys/{key_id}")
        return
    now = int(time.time() * 1000)
    change = Write("keys", {"id": key_id, "revoked_at": now}, "cli", "revoke", key_id)
    _write(config, lambda state, now: _decide(change, state, now))


def _decide(change: Write, state: State, now: int) -> None:
    change.decide(state, now)


def migrate(config: Config) -> int:
    """Bring the database to this program's schema; the schema's number. A running limiter has done so at its start."""
    if _owner(config):
        return len(MIGRATIONS)
    _write(config, lambda state, now: None)
    return len(MIGRATIONS)


def check(config: Config) -> list[Words]:
    """What is wrong with the database: damage, a count that drifted, an audit that was changed or whose newest rows are
    gone. Empty where it is sound."""
    engine = open_reader(config.database_url)
    try:
        with reading(engine, seconds=600) as connection:
            return list(_faults(connection, head_of(config.database_url)))
    except DatabaseError as error:
        return [Words(f"intégrité : {error.orig}", f"integrity: {error.orig}")]
    finally:
        engine.dispose()


def _faults(connection: Connection, head: AuditHead | None) -> Iterator[Words]:
    cut = head.gap(connection) if head is not None else None
    if connection.dialect.name == "sqlite":
        integrity = connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars().all()
        yield from (Words(f"intégrité : {line}", f"integrity: {line}") for line in integrity if line != "ok")
    counted = connection.execute(select(func.count()).select_from(schema.active_sessions)).scalar_one()
    kept = connection.execute(select(schema.fleet.c.active)).scalar_one()
    if counted != kept:
        yield Words(
            "compte : {counted} {counted:session|sessions} en cours, mais le compteur dit {kept}",
            "count: {counted} live {counted:session|sessions}, but the counter says {kept}",
        ).filled(counted=counted, kept=kept)
    if (broken := broken_at(connection)) is not None:
        yield Words(f"audit : {broken.fr}", f"audit: {broken.en}")
    elif cut is not None:
        yield Words(
            f"audit : {cut.sentence.fr} (tu sais pourquoi ? limiter check --accept MOTIF)",
            f"audit: {cut.sentence.en} (you know why? limiter check --accept REASON)",
        )


def has_head(config: Config) -> bool:
    """Whether the end of the audit is kept beside this database, so that `check` can say that nothing was cut off."""
    return not head_of(config.database_url).is_new()


def accept_audit(config: Config, reason: str) -> None:
    """Go on from the audit as it is, though newest rows are gone; the reason is written into it.

    Raises StoreError where a limiter runs on the SQLite file.
    """
    head = head_of(config.database_url)
    try:
        was = head.read()
    except StoreError:
        was = None
    detail = {"head": {"row": was.row, "hash": was.hash} if was is not None else None}
    entry = AuditEntry(int(time.time() * 1000), "cli", ACCEPTED, head.path.name, reason, detail)
    _write(config, lambda state, now: state.audit(entry))


def backup(config: Config, target: Path) -> None:
    """A compact copy in one file, verified, put in place at once; while the limiter runs or not."""
    try:
        if target.exists():
            raise StoreError(
                fr=f"{target} existe déjà : nomme un nouveau fichier", en=f"{target} exists already: name a new file"
            )
        if not target.parent.is_dir():
            raise StoreError(
                fr=f"{target.parent} n'est pas un dossier : crée-le d'abord",
                en=f"{target.parent} is no folder: make it first",
            )
        may_write = os.access(target.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    except PermissionError:
        may_write = False
    if not may_write:
        who = getpass.getuser()
        raise StoreError(
            fr=f"{who} ne peut pas écrire dans {target.parent} : nomme un autre dossier",
            en=f"{who} may not write into {target.parent}: name another folder",
        )
    copy(_file(config), target)


def restore(config: Config, source: Path) -> Path | None:
    """Put a backup in the database's place, which is kept aside; its new name (None: there was none).

    Raises StoreError where a limiter runs, or the backup is not a sound database of ours.
    """
    path = _file(config)
    lock = Lock(path)
    lock.acquire()
    try:
        fresh = path.with_name(path.name + ".restoring")
        fresh.unlink(missing_ok=True)
        copy(source, fresh)
        head = head_of(config.database_url)
        end = restore_into(fresh, head, "cli", source)
        _give_to_owner(path, fresh, lock.path)
        aside = path.with_name(f"{path.name}.before-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        found = path.exists()
        if found:
            os.link(path, aside)  # at no instant is there no file: a start would take that for a new database
        for suffix in ("-wal", "-shm"):
            if (part := path.with_name(path.name + suffix)).exists():
                part.rename(aside.with_name(aside.name + suffix))
        fresh.replace(path)
        spoiled_mark(path).unlink(missing_ok=True)
        sync(path.parent)
        head.keep(end, force=True)
        return aside if found else None
    finally:
        lock.release()


def _give_to_owner(path: Path, *files: Path) -> None:
    """What root puts in place of the limiter's file must stay the limiter's: owner and mode of the file (of the folder,
    where there is none yet) go over to those that came with it."""
    found = (path if path.exists() else path.parent).stat()
    try:
        for file in files:
            os.chown(file, found.st_uid, found.st_gid)
        if path.exists():
            os.chmod(files[0], found.st_mode & 0o7777)
    except PermissionError as error:
        raise StoreError(
            fr=f"{path} est à un autre utilisateur, qui le perdrait : restaure sous son nom, ou en root",
            en=f"{path} belongs to another user, who would lose it: restore as that one, or as root",
        ) from error


def move(config: Config, target: str) -> dict[str, int]:
    """Copy the SQLite database to an empty PostgreSQL database, while no limiter runs; the rows of each table.

    Raises StoreError where a limiter runs, the target is no PostgreSQL database or was used, or is not sound after it.
    """
    _file(config)
    if sqlite_path(target) is not None:
        raise StoreError(
            fr="la cible est une base PostgreSQL : postgresql+psycopg://user@host/name",
            en="the target is a PostgreSQL database: postgresql+psycopg://user@host/name",
        )
    from limiter.store.copy_to_postgres import move

    with _alone(config):
        source, made = open_reader(config.database_url), open_writer(target)
        try:
            moved = move(source, made)
            with reading(made, seconds=600) as connection:
                if faults := list(_faults(connection, None)):
                    fr, en = ("; ".join(one.told(language) for one in faults) for language in ("fr", "en"))
                    raise StoreError(fr=f"la copie n'est pas saine : {fr}", en=f"the copy is not sound: {en}")
        finally:
            source.dispose()
            made.dispose()
    return moved
