"""The bot-capacity limiter: admits trading bots up to a global and a per-user limit, and counts what they do.

For programs: `BotSession` and `AsyncBotSession` hold a slot for a bot, `Refused` says why there is none, and
`get_recommended_limit_for_vps` says how many bots a box carries. Nothing heavy is loaded before it is asked for.
"""

from typing import TYPE_CHECKING, Any

from limiter.system_limits import get_recommended_limit_for_vps

if TYPE_CHECKING:
    from limiter.client import AsyncBotSession, BotSession, Refused

__version__ = "0.1.0"
__all__ = ["AsyncBotSession", "BotSession", "Refused", "__version__", "get_recommended_limit_for_vps"]


def __getattr__(name: str) -> Any:
    if name in ("AsyncBotSession", "BotSession", "Refused"):
        from limiter import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
