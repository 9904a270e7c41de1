"""Loops that submit requests in the background. One that fails is logged, shown in health, and started again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

RESTART_SECONDS = 1.0
SOUND_SECONDS = 60.0  # a job that ran so long after a failure counts as sound again

log = logging.getLogger("limiter")


@dataclass(slots=True)
class Job:
    """A loop under supervision: its name, its last failure (None: sound), how often it was started again."""

    name: str
    run: Callable[[], Awaitable[None]]
    failure: str | None = None
    restarts: int = 0

    async def supervise(self) -> None:
        """Run for ever; a failure ends nothing but this round."""
        loop = asyncio.get_running_loop()
        while True:
            sound = loop.call_later(SOUND_SECONDS, self._recover)
            try:
                await self.run()
            except Exception as error:
                log.exception("job_failed job=%s", self.name)
                self.failure = f"{type(error).__name__}: {error}"
                self.restarts += 1
            finally:
                sound.cancel()
            await asyncio.sleep(RESTART_SECONDS)

    def _recover(self) -> None:
        self.failure = None
