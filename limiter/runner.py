"""Runs any command as a bot: takes a slot, runs it, beats, gives the slot back when it has ended, in whatever way.

Promises: the command runs unchanged (its input, output, signals and exit status are its own), and not without a slot,
unless `keep`; on Linux it does not outlive this process, even one that SIGKILL ends. It finds LIMITER_URL and
LIMITER_SESSION_ID in its environment, so it can report trades itself.
Does not promise: to follow what the command starts and leaves behind; SIGKILL after a lost slot is for its whole group.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Literal

from limiter.client import BotSession, Refused

REFUSED = 75  # EX_TEMPFAIL of sysexits.h: try again later
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as a shell says it
BY_SIGNAL = 128
GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL where the slot is lost
PR_SET_PDEATHSIG = 1

PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
TYPED = (signal.SIGINT, signal.SIGQUIT)  # a terminal gives these to the whole foreground group by itself

OnLost = Literal["stop", "keep"]
Child = subprocess.Popen[bytes]


def run(session: BotSession, command: Sequence[str], on_lost: OnLost = "stop") -> int:
    """Run the command in that session's slot; the exit status that this process should have."""
    own_group = not in_foreground_of_terminal()  # in another group it could not read from the terminal
    signals = Signals(leave=() if own_group else TYPED)
    ended = threading.Event()
    try:
        session.start()
        signals.hold()
        # Before any thread is there: a fork takes along the locks that other threads hold.
        child = spawn(session, command, own_group)
        session.keep()
        guard = (session, child, on_lost, own_group, ended)
        threading.Thread(target=guard_slot, args=guard, name="limiter-guard", daemon=True).start()
        signals.send_to(child)
        status = child.wait()
    except Refused as refused:
        say(str(refused))
        return REFUSED
    except Signalled as signalled:
        return BY_SIGNAL + signalled.number
    except OSError as error:
        say(f"{command[0]}: {error.strerror}")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    finally:
        ended.set()
        session.stop()
    return BY_SIGNAL - status if status < 0 else status


def spawn(session: BotSession, command: Sequence[str], own_group: bool) -> Child:
    """Start the command. Raises OSError where it cannot be."""
    environment = os.environ | {"LIMITER_URL": session.connection.url, "LIMITER_SESSION_ID": session.session_id}
    return subprocess.Popen(
        command,
        env=environment,
        process_group=0 if own_group else None,
        preexec_fn=dies_with_parent(),  # noqa: PLW1509  the only thread so far forks, and what runs there calls C only
    )


def guard_slot(session: BotSession, child: Child, on_lost: OnLost, own_group: bool, ended: threading.Event) -> None:
    """Wait for the slot to be lost, and end the command then, unless `keep`."""
    session.lost.wait()
    text = session.connection.text
    if on_lost == "keep":
        what_now = text(fr="La commande continue sans place.", en="The command goes on without a slot.")
    else:
        what_now = text(fr="La commande est arrêtée.", en="The command is stopped.")
    say(f"{session.lost_because} {what_now}")
    if on_lost == "keep":
        return
    child.terminate()
    if not ended.wait(GRACE_SECONDS):
        os.killpg(child.pid, signal.SIGKILL) if own_group else child.kill()


class Signalled(Exception):
    """A signal came before the command was there to have it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """Signals on their way to the command: `Signalled` is raised while we ask for a slot; later ones are passed on."""

    def __init__(self, leave: Sequence[int]) -> None:
        self._leave = leave
        self._child: Child | None = None
        self._held: list[int] | None = None
        for number in PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:  # what nohup ignores stays ignored, by the command too
                signal.signal(number, self._arrived)

    def hold(self) -> None:
        """Keep those that come while the command is being started."""
        self._held = []

    def send_to(self, child: Child) -> None:
        """Pass them on to this command from now on, first those that were kept."""
        self._child = child
        for number in self._held or ():
            child.send_signal(number)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._child is not None:
            if number not in self._leave:
                self._child.send_signal(number)
        elif self._held is not None:
            self._held.append(number)
        else:
            self.hold()
            raise Signalled(number)


def dies_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes the command, so that the kernel ends it when we end; None but on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here, so that the child does as little as it can
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we ended between the fork and the line above
            os._exit(BY_SIGNAL + signal.SIGKILL)

    return ask_kernel


def in_foreground_of_terminal() -> bool:
    """Whether what is typed at the terminal of our input is for us."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def say(sentence: str) -> None:
    """To the person, beside whatever the command writes."""
    print(f"limiter: {sentence}", file=sys.stderr, flush=True)
