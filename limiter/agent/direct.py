"""`run` without the agent: a small parent that stays beside the bot. For pid 1 of a container, and for `--direct`.

Promises: the command runs in a slot; every signal that comes here reaches it once; the exit status is its own, 128 + N
where signal N ended it; what it leaves behind is reaped, and belongs to the bot: the slot is held until the last of it
has ended. Where the slot is lost, all of them are ended. Where this process is killed, a guard takes them with it.
Does not promise: to find, after such a kill, what left the group and cleared its environment.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime

from limiter.agent import processes
from limiter.agent.command_line import Wanted
from limiter.agent.limiter_api import GONE, NOTHING_DECIDED, Answer, Channel, Refused
from limiter.agent.run import NETWORK, become, environment
from limiter.agent.words import BY_SIGNAL, Unable, say, text, waiting
from limiter.processes import identity

GRACE_SECONDS = 10.0
GUARD_GRACE_SECONDS = 2.0
PATIENCE_SECONDS, STOP_SECONDS, ASK_AGAIN_SECONDS = 10.0, 5.0, 30.0
TURN_SECONDS = 12.0  # with a ticket: within the 30 s for which a slot is its own, and at most once in 10 s
LOOK_SECONDS = 0.1
PR_SET_CHILD_SUBREAPER = 36
NOT_PASSED_ON = {signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP}
BY_KERNEL = 128  # si_code of a signal that no process sent: typed at a terminal, which gives it to the whole group
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT}


def run(wanted: Wanted, file: str) -> int:
    """Take a slot, run the command in it; the exit status that this process should have. Raises Unable."""
    network = {name: value for name in NETWORK if (value := os.environ.get(name) or os.environ.get(name.upper()))}
    language = os.environ.get("LIMITER_LANG", "")
    if os.getpid() == 1:  # whose signals have no effect by default
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: os._exit(BY_SIGNAL + number))
    try:
        slot = Slot(Channel(wanted.url, wanted.key, network, language), language)
        slot.take(wanted)
    except Refused as refused:
        raise Unable(refused.exit_status, str(refused)) from None
    try:
        return Parent(wanted, file, slot).run()
    finally:
        slot.give_back()


class Slot:
    """A session of the limiter, beaten for from a thread. `lost` says why it is none any more."""

    def __init__(self, channel: Channel, language: str) -> None:
        self._channel, self._language = channel, language
        self._session: Answer = {}
        self._asked_at = 0.0
        self._over = threading.Event()
        self._process = {"process": known} if (known := identity()) else {}
        self.lost = ""
        self.notice: Answer | None = None
        """The end that is announced."""
        self.ends_at: float | None = None
        """When it comes, in monotonic seconds."""

    @property
    def session_id(self) -> str:
        """The secret of the session."""
        return str(self._session["session_id"])

    @property
    def _hold_until(self) -> float:
        lease = float(self._session["lease_seconds"])
        return self._asked_at + lease - min(GRACE_SECONDS + 2, lease / 5)

    def take(self, wanted: Wanted) -> None:
        """Ask for a slot, for `--wait` seconds where there is none. Raises Refused."""
        body: Answer = {"user_id": wanted.user} | ({} if wanted.bot is None else {"bot_id": wanted.bot})
        body |= self._process | ({"queue": True} if wanted.wait_seconds > 0 else {})
        told = ""
        clock, again, pause = time.monotonic, os.urandom(16).hex(), 0.1
        give_up_at, patient_until, self._asked_at = clock() + wanted.wait_seconds, clock() + PATIENCE_SECONDS, clock()
        while True:
            timeout = max(0.25, (patient_until - clock()) / 2)
            try:
                answer = self._channel.post(
                    "/api/bots/start", body, timeout=timeout, language=self._language, again=again
                )
                break
            except Refused as refused:
                pause = min(2.0, pause * 2)
                if refused.reason not in NOTHING_DECIDED or clock() + pause >= patient_until:
                    left = give_up_at - clock()
                    if not refused.worth_waiting or left <= 0:
                        raise
                    pause = min(refused.retry_after or 1.0, ASK_AGAIN_SECONDS, left)
                    if (ticket := refused.ticket) is not None:
                        body["ticket"], pause = ticket["id"], min(TURN_SECONDS, left)
                        if told != (told := waiting(ticket["position"], ticket["of"], self._language or None)):
                            say(told)
                    patient_until = clock() + pause + PATIENCE_SECONDS
                lost = refused.reason == "out_of_reach"
            time.sleep(pause)
            self._asked_at = self._asked_at if lost else clock()
        self._session = answer["session"]

    def keep(self) -> None:
        """Beat from here on."""
        threading.Thread(target=self._beat, name="limiter-beat", daemon=True).start()

    def _beat(self) -> None:
        pause = float(self._session["heartbeat_seconds"])
        while not self._over.wait(pause):
            asked_at = time.monotonic()
            timeout = min(10.0, max(0.5, (self._hold_until - asked_at) / 2))
            try:
                answer = self._channel.post(
                    "/api/bots/heartbeat",
                    {"session_id": self.session_id} | self._process,
                    timeout=timeout,
                    language=self._language,
                )
            except Refused as refused:
                pause = 0.5
                if refused.reason in GONE or time.monotonic() > self._hold_until:
                    self.lost = str(refused)
                    return
                continue
            self._session, self._asked_at = answer["session"], asked_at
            pause = float(self._session["heartbeat_seconds"])
            self._hear(answer.get("notice"))

    def _hear(self, notice: Answer | None) -> None:
        self.notice, self.ends_at = notice, None
        if notice is not None and notice["at"] is not None:
            # By the limiter's clock alone, which may not be this host's.
            at, lease_until = (
                datetime.fromisoformat(text) for text in (notice["at"], self._session["lease_expires_at"])
            )
            self.ends_at = self._asked_at + self._session["lease_seconds"] + (at - lease_until).total_seconds()

    def give_back(self) -> None:
        """Tell the limiter of the end; where it cannot be told, the lease ends it."""
        self._over.set()
        until = time.monotonic() + (0.0 if self.lost else STOP_SECONDS)
        while True:
            try:
                self._channel.post("/api/bots/stop", {"session_id": self.session_id}, timeout=STOP_SECONDS)
                return
            except Refused as refused:
                if refused.reason in GONE or time.monotonic() > until:
                    return
            time.sleep(0.2)


class Parent:
    """What stands beside the command: signals in, ends out."""

    def __init__(self, wanted: Wanted, file: str, slot: Slot) -> None:
        self._wanted, self._file, self._slot = wanted, file, slot
        self._own_group = not in_foreground_of_terminal()  # in another group it could not read from the terminal
        self._guard = 0
        self._child = 0
        self._status: int | None = None
        self._end_at: float | None = None
        self._notice: Answer | None = None

    def run(self) -> int:
        """The exit status of the command, when it and all that it started have ended. Raises Unable."""
        heard = set(signal.valid_signals()) - NOT_PASSED_ON - FAULTS | {signal.SIGCHLD}
        before = set(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, heard)))
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        ours, theirs = os.pipe()
        self._child = self._start(before)
        self._guard = guard(self._child if self._own_group else 0, self._slot.session_id, (ours, theirs))
        os.close(ours)
        self._slot.keep()
        while self._status is None or self._descendants():
            self._hear(heard)
            self._reap()
            self._mind_the_slot()
        with suppress(ProcessLookupError):
            os.kill(self._guard, signal.SIGKILL)
        return self._status

    def _start(self, mask: set[int]) -> int:
        """Fork the command; its pid. Raises Unable where it cannot be executed."""
        failed, says = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if self._own_group:
                    os.setpgid(0, 0)
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                become(self._wanted.command, self._file, environment(self._wanted.url, self._slot.session_id))
            except Unable as unable:
                os.write(says, f"{unable.status} {unable}".encode())
            finally:
                os._exit(1)
        os.close(says)
        said = os.read(failed, 4096).decode("utf-8", "replace")
        os.close(failed)
        if said:
            os.waitpid(child, 0)
            status, _, sentence = said.partition(" ")
            raise Unable(int(status), sentence)
        return child

    def _hear(self, heard: set[signal.Signals]) -> None:
        """Wait for a signal, a moment at most, and pass it on."""
        found = signal.sigtimedwait(heard, LOOK_SECONDS)
        if found is None or found.si_signo == signal.SIGCHLD or self._status is not None:
            return
        hung_up = found.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()  # which only the leader is told of
        if found.si_code == BY_KERNEL and not self._own_group and not hung_up:
            return  # typed at the terminal, which the command shares
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self._child, found.si_signo)

    def _reap(self) -> None:
        """Take note of all that ended, ours or left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child and os.WIFSTOPPED(status):
                if not self._own_group:  # the shell that waits for us shall see a job that stands
                    os.kill(os.getpid(), signal.SIGSTOP)
            elif pid == self._child:
                code = os.waitstatus_to_exitcode(status)
                self._status = BY_SIGNAL - code if code < 0 else code

    def _descendants(self) -> list[processes.Process]:
        """All that lives of the bot: as their subreaper, this process is above each of them."""
        table, found = processes.everything(), list[processes.Process]()
        above = {os.getpid()}
        for process in sorted(table.values(), key=lambda one: one.start):
            if process.parent in above and process.pid != self._guard:
                above.add(process.pid)
                if process.lives:
                    found.append(process)
        return found

    def _mind_the_slot(self) -> None:
        """Tell of an end that is announced. End all where the slot is lost: SIGTERM, ten seconds, SIGKILL."""
        told, self._notice = self._notice, self._slot.notice
        if self._notice is not None and self._notice != told and self._wanted.notice_signal and self._status is None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._child, self._wanted.notice_signal)
        ends_at = self._slot.ends_at
        if ends_at is not None and time.monotonic() >= ends_at and not self._slot.lost:
            self._slot.lost = text(fr="Arrêt annoncé.", en="The end that was announced has come.")
        if not self._slot.lost:
            return
        if self._end_at is None:
            keep = self._wanted.on_lost == "keep"
            self._end_at = float("inf") if keep else time.monotonic() + GRACE_SECONDS
            what_now = (
                text(fr="La commande continue sans place.", en="The command goes on without a slot.")
                if keep
                else text(fr="La commande est arrêtée.", en="The command is stopped.")
            )
            say(f"{self._slot.lost} {what_now}")
            if not keep:
                self._signal_all(signal.SIGTERM)
        elif time.monotonic() > self._end_at:
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        for process in self._descendants():
            descriptor = processes.opened(process.pid, process.start)
            if descriptor is not None:
                processes.send(descriptor, number)
                if process.state == "T":  # it stands, and would not hear
                    processes.send(descriptor, signal.SIGCONT)
                os.close(descriptor)


def guard(group: int, mark: str, pipe: tuple[int, int]) -> int:
    """Fork what ends the bot where this process is killed: SIGTERM, two seconds, SIGKILL. Its pid."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        ours, theirs = pipe
        os.close(theirs)
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()))
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        kept = {ours}
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) not in kept:
                with suppress(OSError):
                    os.close(int(name))
        os.read(ours, 1)  # ends when nobody holds the other side any more
        end_at = time.monotonic() + GUARD_GRACE_SECONDS
        number = signal.SIGTERM
        while found := left_behind(group, mark):
            for process in found:
                descriptor = processes.opened(process.pid, process.start)
                if descriptor is not None:
                    processes.send(descriptor, number)
                    os.close(descriptor)
            while number == signal.SIGTERM and time.monotonic() < end_at and left_behind(group, mark):
                time.sleep(LOOK_SECONDS)
            number = signal.SIGKILL
            time.sleep(LOOK_SECONDS / 10)
    finally:
        os._exit(0)


def left_behind(group: int, mark: str) -> list[processes.Process]:
    """What lives of a bot whose parent is gone: its group, those with its mark, and what descends from them."""
    found, above = list[processes.Process](), set[int]()
    for process in sorted(processes.everything().values(), key=lambda one: one.start):
        if process.pid == os.getpid() or not process.lives:
            continue
        if process.group == group or process.parent in above or processes.mark(process.pid) == mark:
            above.add(process.pid)
            found.append(process)
    return found


def in_foreground_of_terminal() -> bool:
    """Whether what is typed at the terminal of our input is for us."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
