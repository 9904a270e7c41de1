"""Where things lie: the file behind a database's URL, what is kept beside it, and the room there is."""

import os
from datetime import UTC, datetime
from pathlib import Path

import psutil

from limiter.bilingual import Bilingual, Unreadable
from limiter.database_url import file_of

STAMP = "%Y%m%dT%H%M%SZ"  # in the name of a backup
RESCUED = ".rescued-"  # in the name of what a limiter saved of a file that was gone
STAMPED = "[0-9]" * 8 + "T" + "[0-9]" * 6 + "Z"  # as a glob: a backup of limiter-eu.db is none of limiter.db


class StoreError(Bilingual):
    """The database cannot be used as it is; the sentence says why and what to do."""


def sqlite_path(url: str) -> Path | None:
    """The file behind a SQLite URL, its links followed: SQLite, too, keeps its log beside the real file. None for
    PostgreSQL. Raises StoreError for what is neither."""
    named = named_path(url)
    if named is None:
        return None
    try:
        real = named.resolve()
    except (OSError, RuntimeError) as error:  # a folder that may not be looked into; links that lead in a circle
        raise out_of_reach(named, error) from error
    return named if real == named.absolute() else real


def named_path(url: str) -> Path | None:
    """As `sqlite_path`, but as it is named, be it a link."""
    try:
        return file_of(url)
    except Unreadable as error:
        raise StoreError(fr=f"l'URL de la base {error.fr}", en=f"the URL of the database {error.en}") from error


def is_there(path: Path) -> bool:
    """Whether there is such a file. Raises StoreError where that cannot be seen."""
    try:
        return path.exists()
    except OSError as error:
        raise out_of_reach(path, error) from error


def refuse_folder(path: Path) -> None:
    """Raise StoreError where a folder lies where the file should: SQLite's own sentence would name no reason."""
    if path.is_dir():
        raise StoreError(
            fr=f"{path.absolute()} est un dossier : nomme un fichier dedans",
            en=f"{path.absolute()} is a folder: name a file in it",
        )


def out_of_reach(path: Path, error: OSError | RuntimeError) -> StoreError:
    """What an error of the file system means for who runs the limiter."""
    fr = en = str(error)
    if isinstance(error, FileExistsError):  # where a folder was to be made
        fr, en = f"{error.filename} n'est pas un dossier", f"{error.filename} is no folder"
    elif isinstance(error, OSError):
        name, why = error.filename or path.name, error.strerror
        fr, en = f"{name} : {why}", f"{name}: {why}"
    return StoreError(
        fr=f"{path.absolute()} est hors d'atteinte ({fr}) : vois le chemin, ses dossiers et leur propriétaire",
        en=f"{path.absolute()} is out of reach ({en}): check the path, its folders and their owner",
    )


def beside(url: str, name: str) -> Path:
    """A file or folder of that name beside the SQLite file, else (PostgreSQL) in data/."""
    path = sqlite_path(url)
    return (path.parent if path is not None else Path("data")) / name


def key_file(url: str) -> Path:
    """Where the first key is put: beside the database as it is named, for that is where it is looked for."""
    named = named_path(url)
    return (named.parent if named is not None else Path("data")) / "admin.key"


def backup_folder(url: str, chosen: str) -> Path | None:
    """Where backups go, by LIMITER_BACKUP_DIR; None where none are made: that is chosen, or it is PostgreSQL."""
    if chosen == "none" or sqlite_path(url) is None:
        return None
    return Path(chosen) if chosen else beside(url, "backups")


def log_of(path: Path) -> Path:
    """The write-ahead log of a SQLite file."""
    return path.with_name(path.name + "-wal")


def spoiled_mark(path: Path) -> Path:
    """What a limiter leaves beside a SQLite file whose content others have written over while it ran."""
    return path.with_name(path.name + ".spoiled")


def log_bytes(path: Path) -> int:
    """Bytes of the write-ahead log of a SQLite file. Raises OSError."""
    log = log_of(path)
    return log.stat().st_size if log.exists() else 0


def free_bytes(folder: Path) -> int:
    """Bytes that are free for this process on the disk under the folder. Raises OSError."""
    return int(psutil.disk_usage(str(folder)).free)


def kept(database: Path, folder: Path) -> list[tuple[int, Path]]:
    """Backups with the instant that their name says, the oldest first: a copied file has another time of change."""
    files = ((_stamp(path), path) for path in folder.glob(f"{database.stem}-{STAMPED}.db"))
    return sorted((at, path) for at, path in files if at is not None)


def made_at(database: Path, folder: Path, now: int) -> int | None:
    """When the newest was made, UTC ms; one from the future of `now`, of a clock that was wrong, does not count."""
    return max((at for at, _ in kept(database, folder) if at <= now), default=None)


def _stamp(path: Path) -> int | None:
    try:
        at = datetime.strptime(path.name.removesuffix(".db").rpartition("-")[2], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(at.timestamp() * 1000)


def refuse_lost(url: str, backups: str) -> None:
    """Raise StoreError where there is no database, but traces of one: an empty one would take every slot for free.

    `backups` is LIMITER_BACKUP_DIR.
    """
    path = sqlite_path(url)
    if path is None or is_there(path):
        return
    copies = _copies(path, backup_folder(url, backups))
    key = key_file(url)
    traces = [*copies[-1:], path.with_name(path.name + ".ballast"), path.with_name(path.name + ".audit-head")]
    if not any(other.exists() for other in key.parent.glob("*.db")):  # else it may be that one's
        traces.append(key)
    found = next((trace for trace in traces if os.path.lexists(trace)), None)
    if found is not None:
        restore = f"`limiter restore {found}`"
        raise StoreError(
            fr=f"{path} n'existe pas, mais {found} dit qu'il y avait une base : son disque est-il là ? "
            f"{restore if copies else 'remets le fichier'}, ou recommence sans sessions par `limiter serve --new`",
            en=f"{path} does not exist, but {found} says that there was a database: is its disk there? "
            f"{restore if copies else 'put the file back'}, or begin without sessions by `limiter serve --new`",
        )


def _copies(path: Path, folder: Path | None) -> list[Path]:
    """What a database that is gone can be restored from, the newest last: backups, and what a limiter saved of it."""
    saved = [(_stamp(copy) or 0, copy) for copy in path.parent.glob(f"{path.name}{RESCUED}{STAMPED}")]
    stamped = sorted([*saved, *(kept(path, folder) if folder is not None else ())])
    if not stamped and folder is not None:
        return sorted(folder.glob(f"{path.stem}-*.db"))
    return [copy for _, copy in stamped]
