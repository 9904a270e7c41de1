"""What happens when: a virtual clock, the real rules that decide, and the real writer that keeps it."""

from collections.abc import Callable, Iterable
from datetime import tzinfo
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from limiter.committer import Request
from limiter.rules.incidents import watch
from limiter.rules.limits import defaults
from limiter.rules.sessions import Reap
from limiter.store.usage import roll
from limiter.store.writer import Writer


class Agenda:
    """Happenings in time order, and the state they are decided on. Instants are UTC ms, durations seconds."""

    def __init__(
        self, writer: Writer, zone: tzinfo, channels: Iterable[str], *, seed: int, since: int, until: int
    ) -> None:
        self.writer, self.zone, self.since, self.until = writer, zone, since, until
        self.now = since
        self.chance = Random(seed)
        self._channels = tuple(channels)
        self.state = writer.restore(defaults(), zone, since, self._channels)
        self.state.begin()
        self._back_at: int | None = None  # when the machine is up again
        self._planned: list[tuple[int, int, Callable[[], object]]] = []
        self._order = count()

    def at(self, instant: int, happening: Callable[[], object]) -> None:
        """Have it happen at `instant`; what is planned for after the end never does."""
        if instant < self.until:
            heappush(self._planned, (instant, next(self._order), happening))

    def after(self, seconds: float, happening: Callable[[], object]) -> None:
        """Have it happen so many seconds from now."""
        self.at(self.now + int(seconds * 1000), happening)

    def run(self) -> None:
        """Everything that is planned, from the first instant to the last; leases that ran out are ended in between."""
        while self._planned:
            instant, _, happening = heappop(self._planned)
            if self._back_at is not None:
                if instant < self._back_at:  # nothing happens on a machine that is away
                    self.at(self._back_at, happening)
                    continue
                self._restart()
            self.now = instant
            if Reap().decide(self.state, self.now):
                watch(self.state, self.now)
            happening()
            watch(self.state, self.now)
        self.now = self.until
        Reap().decide(self.state, self.now)

    def reboot(self, seconds: float) -> None:
        """The machine is away for so long; then the limiter starts again from what it had written."""
        self.save()
        self._back_at = self.now + int(seconds * 1000)

    def _restart(self) -> None:
        assert self._back_at is not None
        before, self.now, self._back_at = self.state, self._back_at, None
        self.state = self.writer.restore(defaults(), self.zone, self.now, self._channels)
        self.state.language = before.language
        self.state.totals = before.totals
        self.state.begin()

    def decide(self, request: Request) -> Any:
        """What the rules say to it now."""
        return request.decide(self.state, self.now)

    def save(self, hour: int | None = None) -> None:
        """Write what was decided since the last time; and roll up the hour that began at `hour`."""
        self.writer.begin()
        self.writer.save(self.state)
        if hour is not None:
            roll(self.writer.connection, hour)
        self.writer.commit()
        self.writer.committed(self.state)
        self.state.begin()

    def name(self, length: int = 16) -> str:
        """A random hexadecimal name."""
        return f"{self.chance.getrandbits(4 * length):0{length}x}"
