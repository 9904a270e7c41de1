"""The bot-capacity limiter: admits trading bots up to a global and a per-user limit, and counts what they do.

For programs: `BotSession` and `AsyncBotSession` hold a slot for a bot, `Refused` says why there is none, and
`get_recommended_limit_for_vps` says how many bots a box carries. Nothing is loaded before it is asked for: every `run`
imports this package, and may cost no more than the bot notices.
"""

TYPE_CHECKING = False  # read as typing's by type checkers; to import typing would take `run` as long as all the rest
if TYPE_CHECKING:
    from limiter.client import AsyncBotSession, BotSession, Refused
    from limiter.system_limits import get_recommended_limit_for_vps

__version__ = "0.1.0"
__all__ = ["AsyncBotSession", "BotSession", "Refused", "__version__", "get_recommended_limit_for_vps"]


def __getattr__(name: str) -> object:
    if name in ("AsyncBotSession", "BotSession", "Refused"):
        from limiter import client

        return getattr(client, name)
    if name == "get_recommended_limit_for_vps":
        from limiter import system_limits

        return system_limits.get_recommended_limit_for_vps
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
