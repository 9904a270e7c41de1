"""A real systemd in namespaces of its own, on a copy of this machine's files that nothing is written back from.

It needs root, and the right to mount: `why_not` says what is missing.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, wait_until

SYSTEMD = "/lib/systemd/systemd"
BOOT = """
set -e
root=$1 python=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
mkdir -p "$root/upper" "$root/work" "$root/new"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/new"
cd "$root/new"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
chmod 1777 tmp
chmod a+x root
mkdir -p opt/limiter ".$6"  # wherever they lie, they are found again: on another disk, or below /tmp
if [ -n "$7" ]; then # a checkout that is to be installed inside: its packages are there, no interpreter, no command
    cp -a "$7/limiter" opt
    cp -a "$7/origin" srv/origin
    mkdir -p "$root/packages" "$root/packages-work" opt/limiter/.venv
    mount -t overlay overlay -o "lowerdir=$6,upperdir=$root/packages,workdir=$root/packages-work" opt/limiter/.venv
    rm -rf opt/limiter/.venv/bin opt/limiter/.venv/pyvenv.cfg usr/local/bin/limiter
else
    mount --bind "$3" opt/limiter
    mount --bind "$6" ".$6"
    printf '#!/bin/sh\\nPYTHONPATH=/opt/limiter exec %s -m limiter "$@"\\n' "$python" > usr/local/bin/limiter
    chmod 755 usr/local/bin/limiter
fi
grep -q ^bots: etc/passwd || echo 'bots:x:4242:4242::/srv/bots:/bin/sh' >> etc/passwd
mkdir -p run/systemd/journald.conf.d # what the kernel says is the machine's own
printf '[Journal]\\nReadKMsg=no\\n' > run/systemd/journald.conf.d/trial.conf
mkdir -p run/systemd/system srv/bots etc/limiter
cp "$4"/* run/systemd/system/
cp -r "$5"/. srv/
chown -R 4242 srv/bots
mkdir -p mnt/before
pivot_root . mnt/before # not chroot: whoever is in one may make no user namespace, as PrivateUsers= does
cd / && umount --lazy mnt/before
exec env -i container=other PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --system --unit=trial.target --log-target=null
"""


MOUNTED = "mount -t cgroup2 cgroup2 /mnt"


def in_groups(script: str, name: str) -> bool:
    """Run it with `name` as $0 where the control groups are, however they are mounted here; whether it went well."""
    whole = ["unshare", "--mount", "sh", "-c", f"{MOUNTED} && cd /mnt && {script}", name]
    return subprocess.run(whole, capture_output=True, check=False).returncode == 0


def why_not() -> str:
    """Why none can be booted here; empty where one can."""
    if not Path(SYSTEMD).exists() or shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return "systemd, unshare or nsenter is not installed"
    if os.geteuid() != 0:
        return "only root can boot one"
    trial = "mount -t tmpfs tmpfs /mnt && mount -t cgroup2 cgroup2 /mnt"
    done = subprocess.run(
        ["unshare", "--mount", "--cgroup", "sh", "-c", trial], capture_output=True, text=True, check=False
    )
    return f"namespaces may not be made here: {done.stderr.strip()}" if done.returncode else ""


class Systemd:
    """`units` are files of /run/systemd/system, `files` of /srv; user `bots` and the command `limiter` are there.

    With `checkout` its `limiter` is /opt/limiter and its `origin` /srv/origin; the command is not there yet, the Python
    packages are, and the network is one of its own.
    """

    def __init__(
        self, folder: Path, units: dict[str, str], files: dict[str, str], checkout: Path | None = None
    ) -> None:
        for name in ("units", "files", "root"):
            (folder / name).mkdir()
        units = {"trial.target": "[Unit]\nDescription=Trial\n"} | units
        for name, text in units.items():
            (folder / "units" / name).write_text(text)
        for name, text in files.items():
            path = folder / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        # A group of its own is the root of its namespace: systemd takes hold of all that is in its root, and in a
        # container where nobody made groups that would be these tests and what runs them.
        self._group = f"limiter-trial-{os.getpid()}"
        in_groups('mkdir "$0"', self._group)
        into = 'echo $$ > "/mnt/$0/cgroup.procs" && umount /mnt && exec unshare "$@"'
        enter = ["unshare", "--mount", "sh", "-c", f"{MOUNTED} && {into}", self._group]
        namespaces = [
            "--fork",
            "--kill-child",
            "--pid",
            "--mount",
            "--cgroup",
            "--ipc",
            "--uts",
            *(["--net"] if checkout else []),
        ]
        python = os.path.join(os.path.realpath(sys.prefix), "bin", "python")
        places = [str(folder / "units"), str(folder / "files"), os.path.realpath(sys.prefix)]
        arguments = [str(folder / "root"), python, str(ROOT), *places, str(checkout or "")]
        self._log = (folder / "log").open("wb")
        self._unshare = subprocess.Popen(
            [*enter, *namespaces, "bash", "-c", BOOT, "boot", *arguments], stdout=self._log, stderr=self._log
        )
        try:
            self._pid1 = wait_until(self._first_process, 10, "the namespace's first process")
            wait_until(self._up, 30, "systemd is up")
        except AssertionError:
            self.close()
            raise AssertionError((folder / "log").read_text()) from None

    def _first_process(self) -> int:
        assert self._unshare.poll() is None, "systemd did not start"
        found = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text().split()
        return int(found[0]) if found and Path(f"/proc/{found[0]}/comm").read_text() == "systemd\n" else 0

    def _up(self) -> bool:
        return self.do("systemctl", "is-active", "trial.target", status=None).strip() == "active"

    def do(self, *command: str, status: int | None = 0) -> str:
        """What a command inside writes; it must end with this status, where one is given."""
        whole = [
            "nsenter",
            f"--target={self._pid1}",
            "--pid",
            "--mount",
            "--cgroup",
            "--ipc",
            "--net",
            "--root",
            f"--wd=/proc/{self._pid1}/root",
            *command,
        ]
        done = subprocess.run(whole, capture_output=True, text=True, timeout=100, check=False)
        assert status is None or done.returncode == status, (command, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def told(self, unit: str, name: str) -> str:
        """A property of a unit, as `systemctl show` has it."""
        return self.do("systemctl", "show", "--value", "--property", name, unit).strip()

    def close(self) -> None:
        """Kill it and all that is in it."""
        pid1 = getattr(self, "_pid1", 0)
        if pid1:
            os.kill(pid1, signal.SIGKILL)
        else:
            self._unshare.kill()
        self._unshare.wait()
        self._log.close()
        take_away = 'find "$0" -depth -type d -exec rmdir {} +'
        wait_until(lambda: in_groups(take_away, self._group), 5, "the group is empty")
