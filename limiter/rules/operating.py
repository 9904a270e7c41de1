"""What all requests of operators have in common."""

from dataclasses import dataclass
from typing import Any

from limiter.rules.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRequest:
    """A change that a person asks for. `request_id` is that of the HTTP request, which every line of the log that it
    causes carries; None where nobody asked over HTTP."""

    request_id: str | None = None

    def decide(self, state: State, now: int) -> Any:
        """What is answered, once it is durable."""
        raise NotImplementedError
