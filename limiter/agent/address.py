"""Where the agent of this OS user is found: a Unix socket in a folder that nobody else may change.

LIMITER_AGENT_SOCKET where it is set. Else the first of `$XDG_RUNTIME_DIR/limiter` (of `/run/user/UID`, which the same
user's cron jobs and services find too) and `/tmp/limiter-UID` where an agent is, or else the first that can be used.
"""

import _socket
import contextlib
import fcntl
import os

from limiter.agent.words import UNREADABLE, Unable, text

LONGEST_PATH = 107  # bytes of sun_path, without the NUL
NAME = "agent.sock"


class Folder:
    """A socket's folder, open: ours, and changed by nobody else. `path` is the socket's."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor

    @property
    def address(self) -> str:
        """What connect and bind take, however long the path is."""
        if len(os.fsencode(self.path)) <= LONGEST_PATH:
            return self.path
        return f"/proc/self/fd/{self.descriptor}/{os.path.basename(self.path)}"

    def locked(self) -> bool:
        """Whether this folder's agent is ours to be: one process and its children hold the lock at any time.

        It is on the folder itself, which also keeps systemd-tmpfiles from clearing what lies in it.
        """
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def connected(self, timeout: float) -> _socket.socket | None:
        """A connection to the agent, None where there is none. Raises Unable where somebody else listens."""
        from limiter.agent.message import peer

        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(self.address)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        except OSError as error:
            connection.close()
            raise unusable(self.path, error.strerror or str(error)) from None
        if peer(connection)[1] != os.geteuid():
            connection.close()
            raise unusable(self.path, text(fr="quelqu'un d'autre y écoute", en="somebody else listens there"))
        return connection


def places() -> list[str]:
    """Paths of the socket, the preferred one first."""
    if chosen := os.environ.get("LIMITER_AGENT_SOCKET", "").strip():
        return [os.path.abspath(chosen)]
    user = os.geteuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}"
    try:  # `su` leaves the variable of who called it
        of_user = [f"{runtime}/limiter/{NAME}"] if os.stat(runtime).st_uid == user else []
    except OSError:
        of_user = []
    return [*of_user, f"/tmp/limiter-{user}/{NAME}"]  # noqa: S108  its owner and mode are checked


def opened(path: str, *, make: bool) -> Folder | None:
    """The folder of that socket; None where there is none and it shall not be made.

    Raises Unable where it belongs to somebody else, others may change it, or it cannot be made.
    """
    folder = os.path.dirname(path)
    try:
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        if make:
            raise unusable(path, error.strerror or str(error)) from None
        return None
    except OSError as error:
        raise unusable(path, error.strerror or str(error)) from None
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid():
        os.close(descriptor)
        raise unusable(path, text(fr="son dossier appartient à quelqu'un d'autre", en="its folder is somebody else's"))
    if found.st_mode & 0o022:  # to read it gives nothing away: socket and book are 0600
        os.close(descriptor)
        said = text(fr="d'autres peuvent modifier son dossier", en="others may change its folder")
        raise unusable(path, f"{said} ({found.st_mode & 0o777:03o})")
    return Folder(path, descriptor)


def reached(timeout: float) -> _socket.socket | None:
    """A connection to this user's agent, None where none runs. Raises Unable."""
    for path in places():
        folder = opened(path, make=False)
        if folder is not None:
            connection = folder.connected(timeout)
            os.close(folder.descriptor)
            if connection is not None:
                return connection
    return None


def unusable(path: str, why: str) -> Unable:
    """The refusal of a socket, with its exit status."""
    told = text(
        fr=f"Le socket de l'agent {path} est inutilisable : {why}.",
        en=f"The agent's socket {path} cannot be used: {why}.",
    )
    return Unable(UNREADABLE, told)
