"""A slot that one process holds for itself: asked for, beaten for from a thread, given back."""

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime

from limiter.agent.command_line import Wanted
from limiter.agent.limiter_api import Answer, Channel, Refused
from limiter.agent.words import say, waiting
from limiter.calling import GONE, STOP_PATIENCE_SECONDS, delays, pause
from limiter.calling.start import SlotRequest
from limiter.processes import MEASURED_AFTER_SECONDS, identity

GRACE_SECONDS = 10.0


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
        clock, again, told = time.monotonic, os.urandom(16).hex(), ""
        request = SlotRequest(wanted.user, wanted.bot, self._process, wait_seconds=wanted.wait_seconds, now=clock())
        while True:
            timeout = request.attempt(clock())
            try:
                answer = self._channel.post(
                    "/api/bots/start", request.body, timeout=timeout, language=self._language, again=again
                )
                break
            except Refused as refused:
                seconds = request.refused(refused.reason, refused.retry_after, refused.facts, clock())
                if seconds is None:
                    raise
            if request.place and told != (told := waiting(*request.place, self._language or None)):
                say(told)
            time.sleep(seconds)
        self._session = answer["session"]
        self._asked_at = request.held_since(float(self._session["lease_seconds"]))

    def keep(self, cost: Callable[[], Answer]) -> None:
        """Beat from here on, telling what the bot costs once it has come up."""
        threading.Thread(target=self._beat, args=(cost,), name="limiter-beat", daemon=True).start()

    def _beat(self, cost: Callable[[], Answer]) -> None:
        measured_from = time.monotonic() + MEASURED_AFTER_SECONDS
        seconds, pauses = float(self._session["heartbeat_seconds"]), delays()
        while not self._over.wait(seconds):
            asked_at = time.monotonic()
            timeout = min(10.0, max(0.5, (self._hold_until - asked_at) / 2))
            figures = cost() if asked_at >= measured_from else {}
            try:
                answer = self._channel.post(
                    "/api/bots/heartbeat",
                    {"session_id": self.session_id} | self._process | figures,
                    timeout=timeout,
                    language=self._language,
                )
            except Refused as refused:
                left = self._hold_until - time.monotonic()
                if refused.reason in GONE or left < 0:
                    self.lost = str(refused)
                    return
                # Not beyond the time that is left: what is ended shall be gone before its lease is.
                seconds = min(pause(next(pauses), refused.retry_after, left), left)
                continue
            self._session, self._asked_at = answer["session"], asked_at
            seconds, pauses = float(self._session["heartbeat_seconds"]), delays()
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
        until = time.monotonic() + (0.0 if self.lost else STOP_PATIENCE_SECONDS)
        for delay in delays():
            try:
                self._channel.post("/api/bots/stop", {"session_id": self.session_id}, timeout=STOP_PATIENCE_SECONDS)
                return
            except Refused as refused:
                left = until - time.monotonic()
                if refused.reason in GONE or left < 0:
                    return
                seconds = pause(delay, refused.retry_after, left)
            time.sleep(seconds)
