"""Who drives a limiter and writes down everything that he did, as he was answered."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.truth.diary import SECOND, Diary, Stay
from tests.truth.virtual import Clocks, Machine
from tests.webhook import Webhook

BEAT_MS, BEAT_AT = 20 * SECOND, 3_457  # bots beat thrice a minute, at odd milliseconds


class Play:
    """Bots, operators and time on one limiter; `alive` are the sessions whose bots beat."""

    log: type[Diary] = Diary  # what is written down

    def __init__(self, machine: Machine, diary: Diary, messages: Callable[[], list[dict[str, Any]]]) -> None:
        self.machine, self.diary, self._messages = machine, diary, messages
        self.tokens: dict[str, str] = {}  # a session's secret by its public id
        self.alive: dict[str, Stay] = {}
        self._ids = itertools.count(1)
        self._pick_up()

    @property
    def now(self) -> int:
        return self.machine.clocks.at

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What the channel was told so far."""
        return self._messages()

    def _pick_up(self) -> None:
        self.machine.start()
        self.http = httpx.Client(base_url=self.machine.url, headers={"Accept-Language": "en"}, timeout=30)
        self.diary.up(self.now)
        self.diary.sampled(self.now, *self.machine.box)

    # -- time

    def to(self, at: int) -> None:
        """Let the time go on; bots that live beat, and the feed brings tokens."""
        while self.now < at:
            beat = self.now + 1 - (self.now + 1 - BEAT_AT) % BEAT_MS + BEAT_MS
            self._on(min(at, beat))
            if self.now == beat:
                self._beat()

    def _on(self, at: int) -> None:
        for taken in self.machine.to(at):
            self.diary.sampled(taken, *self.machine.box)
        self.diary.passed(at)

    def close(self) -> None:
        """The end of the test."""
        self.http.close()
        self.machine.stop()
        self.machine.close()

    def after(self, seconds: float) -> None:
        self.to(self.now + round(1000 * seconds))

    def _beat(self) -> None:
        self.feed(6)
        self.alive = {name: stay for name, stay in self.alive.items() if stay.end is None}
        if self.alive:
            beats = [{"session_id": self.tokens[name]} for name in self.alive]
            results = self.http.post("/api/bots/heartbeats", json={"beats": beats}).json()["results"]
            for stay, result in zip(self.alive.values(), results, strict=True):
                assert result["ok"], result
                self.diary.beat(self.now, stay)

    def restart(self, at: int, *, kill: bool = False) -> None:
        """End the limiter, as SIGTERM or SIGKILL do, and start one at that instant."""
        self.http.close()
        if kill:
            self.machine.kill()
        else:
            self.machine.stop()
            self.diary.sampled(self.now, *self.machine.box)
        self.diary.down(self.now)
        self.machine.clocks.at = at
        self._pick_up()

    # -- bots

    def _post(self, path: str, body: dict[str, Any]) -> tuple[httpx.Response, str]:
        asked = f"asked-{next(self._ids)}"
        answer = self.http.post(path, json=body, headers={"X-Request-ID": asked})
        return answer, asked

    def start(self, user: str, bot: str | None = None) -> Stay | None:
        """The session, or None where it was refused."""
        answer, asked = self._post("/api/bots/start", {"user_id": user, **({"bot_id": bot} if bot else {})})
        if self._refused(answer, asked, user, bot):
            return None
        told = answer.json()["session"]
        lease = 1000 * told["lease_seconds"]
        self.diary.started(self.now, told["public_id"], user, told["bot_id"], lease)
        stay = self.diary.stays[-1]
        self.tokens[stay.public_id], self.alive[stay.public_id] = told["session_id"], stay
        return stay

    def _refused(self, answer: httpx.Response, asked: str, user: str | None, bot: str | None = None) -> bool:
        if answer.is_success:
            return False
        told = answer.json()
        sentence = told["error"]
        self.diary.happened(self.now, "refusal", user, reason=told["reason"], id=asked, sentence=sentence, bot=bot)
        return True

    def fall_silent(self, stay: Stay) -> None:
        """The bot is gone without a word."""
        del self.alive[stay.public_id]

    def stop(self, stay: Stay) -> None:
        answer, _ = self._post("/api/bots/stop", {"session_id": self.tokens[stay.public_id]})
        assert answer.is_success, answer.text
        self.diary.ended(self.now, stay, "stopped")

    def trade(self, stay: Stay, *, closes: bool = False) -> bool:
        body = {"symbol": "BTC/USDT", "side": "buy", "quantity": "1", "price": "100", "closes": closes}
        answer, asked = self._post("/api/bots/trades", {"session_id": self.tokens[stay.public_id], **body})
        if self._refused(answer, asked, stay.user, stay.bot):
            return False
        self.diary.happened(self.now, "trade", stay.user, closes=closes, resets_at=answer.json()["resets_at"])
        return True

    def signal(self, stay: Stay, n: int) -> bool:
        answer, asked = self._post("/api/bots/signals", {"session_id": self.tokens[stay.public_id], "count": n})
        if self._refused(answer, asked, stay.user, stay.bot):
            return False
        self.diary.happened(self.now, "signals", stay.user, n)
        return True

    def feed(self, n: int) -> bool:
        answer, asked = self._post("/api/feed/tokens", {"count": n})
        if self._refused(answer, asked, None):
            return False
        self.diary.happened(self.now, "tokens", None, n)
        return True

    # -- operators

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """An operator's call, which must be granted."""
        headers = {"Authorization": f"Bearer {self.machine.key}"}
        answer = self.http.request(method, f"/api/admin/{path}", json=body, headers=headers)
        assert answer.is_success, (method, path, answer.text)
        return answer.json()

    def get(self, path: str) -> str:
        """What an operator is answered to a GET, as text."""
        headers = {"Authorization": f"Bearer {self.machine.key}"}
        answer = self.http.get(path if path.startswith("/") else f"/api/admin/{path}", headers=headers)
        assert answer.is_success, (path, answer.text)
        return answer.text

    def change(self, **limits: Any) -> None:
        self.admin("PATCH", "limits", {"changes": limits, "reason": "as the script says", "override_guard": True})
        self.diary.changed(self.now, **limits)
        self.diary.done.append((self.now, "limits", "limits"))

    def give(self, user: str, **limits: Any) -> None:
        self.admin("PUT", f"users/{user}/limits", {"limits": limits, "reason": "as the script says"})
        self.diary.gave(self.now, user, **limits)
        self.diary.done.append((self.now, "override", user))

    def pause(self, paused: bool) -> None:
        self.admin("POST", "pause" if paused else "resume", {"reason": "as the script says"})
        self.diary.paused.append((self.now, paused))
        self.diary.done.append((self.now, "pause" if paused else "resume", "starts"))

    def end(self, stay: Stay) -> None:
        self.admin("POST", f"sessions/{stay.public_id}/stop", {"reason": "as the script says"})
        self.diary.ended(self.now, stay, "admin_stop")
        self.diary.done.append((self.now, "stop", stay.public_id))


@contextmanager
def playing(
    folder: Path, patched: pytest.MonkeyPatch, begin: datetime, limits: dict[str, Any], database_url: str | None = None,
    driver: type[Play] = Play,
) -> Iterator[Play]:  # fmt: skip
    """Somebody who drives a limiter of its own from that instant on; whose settings the console has too."""
    with Webhook() as webhook:
        clocks = Clocks(round(begin.timestamp() * 1000))
        clocks.patch(patched)
        settings = {name: str(value) for name, value in limits.items()}
        zone = str(begin.tzinfo)
        settings |= {"LIMITER_TIMEZONE": zone, "LIMITER_ALERT_URLS": webhook.address("/told"), "LIMITER_LANG": "en"}
        machine = Machine(folder, clocks, settings, database_url)
        for name, value in machine.environment.items():
            patched.setenv(name, value)
        play = driver(machine, driver.log(zone, limits), lambda: webhook.posts("/told"))
        try:
            yield play
        finally:
            play.close()
