"""Another program writes into the files under a running limiter: the inode stays, what it held is gone."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.figures import Figure
from faults.power import every
from faults.running import ROOMY, health, running, seconds_until
from limiter.store.location import log_of
from tests.conftest import Limiter
from tests.webhook import Webhook


def copied_into(one: Limiter, backup: Path) -> None:
    """`cp backup.db limiter.db`."""
    shutil.copyfile(backup, one.db_path)


def emptied(one: Limiter, backup: Path) -> None:
    """`> limiter.db`."""
    os.truncate(one.db_path, 0)


def log_emptied(one: Limiter, backup: Path) -> None:
    """`> limiter.db-wal`, to make room."""
    os.truncate(log_of(one.db_path), 0)


def changed_in_no_byte(one: Limiter, backup: Path) -> None:
    """What a backup tool or a person does to a file that it leaves as it is."""
    os.utime(one.db_path)
    shutil.copystat(backup, one.db_path)
    one.db_path.chmod(0o600)


KINDS: tuple[Callable[[Limiter, Path], None], ...] = (copied_into, emptied, log_emptied)


def refused_until_restored(one: Limiter, backup: Path) -> bool:
    """Whether a start says what happened, and goes on from the backup once that is restored."""
    one.kill()
    if one.exit_status() == 0 or "limiter.db.spoiled" not in one.log:
        return False
    return one.run("restore", str(backup)).returncode == 0


def overwriting(folder: Path, rounds: int) -> Iterator[Figure]:
    """One way after the other, after a backup; then the backup is restored."""
    downs, stopped, late, untold, unrefused, lost = [0.0], 0, 0, 0, 0, 0
    with Webhook() as webhook:
        for number in range(rounds):
            with running(folder / f"data{number}", **ROOMY, LIMITER_ALERT_URLS=webhook.address("/ops")) as one:
                held = [one.session()["public_id"] for _ in range(20)]
                backup = folder / f"backup{number}.db"
                assert one.run("backup", str(backup)).returncode == 0
                changed_in_no_byte(one, backup)
                stopped += sum(one.start().status_code != 201 for _ in range(3))
                KINDS[number % len(KINDS)](one, backup)
                downs.append(seconds_until(lambda one=one: health(one) == 503, 10))  # type: ignore[misc]
                late += sum(one.start().status_code == 201 for _ in range(3))
                untold += seconds_until(lambda: "limiter restore" in str(webhook.came), 10) > 10
                webhook.came.clear()
                unrefused += not refused_until_restored(one, backup)
                one.restart(kill=True)
                lost += len(set(held) - {row["public_id"] for row in every(one)})
    yield Figure("files written over in place", rounds)
    yield Figure("starts refused after a touch, a time stamp put back, a chmod", stopped, 0)
    yield Figure("slowest until health said 503", max(downs), 3, "s")
    yield Figure("starts acknowledged after that", late, 0)
    yield Figure("times that nobody was told", untold, 0)
    yield Figure("starts on such a file that did not refuse it, or not until a backup was restored", unrefused, 0)
    yield Figure("sessions of the backup that were not there afterwards", lost, 0)
