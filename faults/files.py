"""The world moves the database file about under a running limiter: nothing acknowledged may be lost by it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.figures import Figure
from faults.power import every
from faults.running import ROOMY, health, running, seconds_until
from tests.conftest import Limiter
from tests.webhook import Webhook


def removed(path: Path) -> None:
    """`rm limiter.db*`."""
    for name in ("", "-wal", "-shm", ".lock", ".ballast"):
        path.with_name(path.name + name).unlink(missing_ok=True)


def log_removed(path: Path) -> None:
    """`rm limiter.db-wal`, to make room."""
    path.with_name(path.name + "-wal").unlink()


def copied_over(path: Path) -> None:
    """An older copy is moved over it."""
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    os.replace(copy, path)


def moved(path: Path) -> None:
    """`mv limiter.db elsewhere`."""
    path.rename(path.with_name("elsewhere.db"))


def folder_moved(path: Path) -> None:
    """The link by which the limiter goes to the folder is set to another, empty one."""
    link, empty = path.parent, path.parent.with_name("empty")
    shutil.rmtree(empty, ignore_errors=True)
    empty.mkdir()
    link.unlink()
    link.symlink_to(empty)


KINDS: tuple[Callable[[Path], None], ...] = (removed, log_removed, copied_over, moved, folder_moved)


def saved_in(one: Limiter) -> Path:
    """Where the limiter says that everything is, waiting until it does."""
    assert seconds_until(lambda: "database_saved file=" in one.log, 10) < 10, one.log
    detail = one.client.get("/api/admin/health").json()["checks"]["database"]["detail"]
    assert "all that was acknowledged is in" in detail, detail
    return Path(one.log.rpartition("database_saved file=")[2].split()[0])


def second_by_another_name(one: Limiter) -> bool:
    """Whether a second limiter starts on the file, its lock file removed, by a link to it."""
    alias = one.folder.with_name("alias.db")
    alias.unlink(missing_ok=True)
    alias.symlink_to(one.db_path)
    one.db_path.with_name("limiter.db.lock").unlink()
    other = Limiter(one.folder.parent, {"LIMITER_BACKUP_DIR": "none", "LIMITER_DATABASE_URL": f"sqlite:///{alias}"})
    return other.exit_status() == 0


def begins_empty(one: Limiter) -> bool:
    """Whether a start where the database is gone says nothing of it."""
    return one.exit_status() == 0 or "--new" not in one.log


def cure(one: Limiter, spoil: Callable[[Path], None], real: Path, safe: Path) -> None:
    """What an operator does after the kill, by what the limiter said."""
    if spoil is folder_moved:
        one.folder.unlink()
        one.folder.symlink_to(real)
    elif safe != one.db_path.absolute():
        done = one.run("restore", str(safe))
        assert done.returncode == 0, done.stderr


def files(folder: Path, rounds: int) -> Iterator[Figure]:
    """One way after the other; the limiter is then killed, and what it saved is restored where that is needed."""
    downs, lost, late, untold, unsaid, second = [0.0], 0, 0, 0, 0, 0
    with Webhook() as webhook:
        for number in range(rounds):
            real, link = folder / f"real{number}", folder / f"data{number}"
            real.mkdir()
            link.symlink_to(real)
            spoil = KINDS[number % len(KINDS)]
            with running(link, **ROOMY, LIMITER_ALERT_URLS=webhook.address("/ops")) as one:
                one.log_path = real / "limiter.log"  # not by the link, which will lead elsewhere
                held = [one.session()["public_id"] for _ in range(20)]
                second += second_by_another_name(one)
                spoil(one.db_path)
                answers = [one.start() for _ in range(3)]  # acknowledged or not: if so, they must be there
                downs.append(seconds_until(lambda one=one: health(one) == 503, 10))  # type: ignore[misc]
                late += one.start().status_code == 201
                held += [each.json()["session"]["public_id"] for each in answers if each.status_code == 201]
                safe = saved_in(one)
                untold += seconds_until(lambda: "\u26d4" in str(webhook.came), 10) > 10
                webhook.came.clear()
                one.kill()
                unsaid += spoil in (removed, moved) and begins_empty(one)
                cure(one, spoil, real, safe)
                one.restart(kill=True)
                lost += len(set(held) - {row["public_id"] for row in every(one)})
    yield Figure("files removed, moved and replaced", rounds)
    yield Figure("acknowledged starts lost", lost, 0)
    yield Figure("starts acknowledged after health said 503", late, 0)
    yield Figure("slowest until health said 503", max(downs), 5, "s")
    yield Figure("times that nobody was told", untold, 0)
    yield Figure("second limiters on the file", second, 0)
    yield Figure("starts on no database that did not ask for --new", unsaid, 0)
