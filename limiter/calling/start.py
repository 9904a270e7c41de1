"""How a start is asked for: what is sent, when it is sent again, when it is given up. Without IO, without a clock.

The client, the agent and `run --direct` drive it, each with its own way to call and to wait.
"""

from collections.abc import Mapping
from typing import Any

from limiter.calling import MAY_COME_TRUE, NOTHING_DECIDED, PATIENCE_SECONDS, answer_timeout, delays, pause, spread

ASK_AGAIN_SECONDS = 30.0  # where a slot may come early, ask at least so often whatever Retry-After says
# For then a slot may be given back, the door opened, the box calm at any time: what was told is no reckoning.
MAY_COME_EARLY = frozenset({"server_full", "user_limit", "paused", "box_busy"})
TURN_SECONDS = 12.0  # with a ticket: within the 30 s for which a slot is its own, and at most once in 10 s
WORTH_WAITING = NOTHING_DECIDED | {"server_full", "user_limit", "paused", "start_rate", "box_busy"}


class SlotRequest:
    """One start, until there is a slot or it is given up. All instants are seconds of the driver's monotonic clock.

    Each time, `attempt` says how long to wait for the answer to `body`; `refused`, told why there is no slot, how long
    to pause before the next attempt. All attempts carry one Idempotency-Key, which is the driver's.
    """

    def __init__(
        self, user_id: str, bot_id: str | None, process: Mapping[str, str], *, wait_seconds: float, now: float
    ) -> None:
        """`process`: how the limiter finds the bot on its own machine; `wait_seconds`: how long to ask for a slot."""
        self.body: dict[str, Any] = {"user_id": user_id, **process}
        self.body |= ({} if bot_id is None else {"bot_id": bot_id}) | ({"queue": True} if wait_seconds > 0 else {})
        self.place: tuple[int, int] | None = None
        """Where in the queue, of how many, as last heard."""
        self._give_up_at = now + wait_seconds
        self._attempts = list[float]()
        """The last, and before it those since the first that may have taken the slot unheard."""
        self.unsure = False
        """Whether an attempt may have taken the slot unheard."""
        self._begin_round()

    def _begin_round(self) -> None:
        """Be patient anew with a limiter that does not answer or decides nothing."""
        self._patient_until: float | None = None
        self._delays = delays()

    def attempt(self, now: float) -> float:
        """It is asked now: how many seconds to wait for the answer."""
        if not self.unsure:
            self._attempts.clear()
        self._attempts.append(now)
        if self._patient_until is None:
            self._patient_until = now + PATIENCE_SECONDS
        return answer_timeout(self._patient_until - now)

    def held_since(self, lease_seconds: float) -> float:
        """Since when the lease of the slot runs at the earliest.

        That is the last attempt, or an earlier one that took the slot unheard; not one so old that the limiter would
        have ended its session by now, and begun another.
        """
        oldest = self._attempts[-1] - lease_seconds - PATIENCE_SECONDS
        return next(at for at in self._attempts if at >= oldest)

    def refused(self, reason: str, retry_after: float | None, facts: Mapping[str, Any], now: float) -> float | None:
        """Seconds to pause before the next attempt; None where there is none, and that refusal is the answer."""
        decided = reason not in NOTHING_DECIDED
        if decided:  # so no attempt before took a slot: its answer would have come again
            self.unsure = False
        elif reason in MAY_COME_TRUE:
            self.unsure = True
        patient_until = self._patient_until or now
        soon = pause(next(self._delays), retry_after, patient_until - now)
        if not decided and now + soon < patient_until:
            return soon
        left = self._give_up_at - now
        if not _worth_waiting(reason, facts) or left <= 0:
            return None
        self._begin_round()
        ticket = facts.get("ticket")
        if not isinstance(ticket, dict):
            most = spread(ASK_AGAIN_SECONDS, 0.8) if reason in MAY_COME_EARLY else left
            return min(retry_after or 1.0, most, left)
        self.body["ticket"], self.place = ticket["id"], (ticket["position"], ticket["of"])
        return min(spread(TURN_SECONDS, 0.85), left)


def _worth_waiting(reason: str, facts: Mapping[str, Any]) -> bool:
    """Whether asking again for a slot may help soon: not a suspended user."""
    return reason in WORTH_WAITING and not (reason == "user_limit" and facts.get("limit") == 0)
