"""The limiter's HTTP API as functions: BotSession and AsyncBotSession for a bot, Admin for command line and console.

A bot needs no package but httpx; Admin decodes answers into types and needs msgspec too, so it is imported when named.
"""

from typing import TYPE_CHECKING, Any

from limiter.client.sessions import AsyncBotSession, BotSession
from limiter.client.wire import Refused

if TYPE_CHECKING:
    from limiter.client.admin import Admin

__all__ = ["Admin", "AsyncBotSession", "BotSession", "Refused"]


def __getattr__(name: str) -> Any:
    if name != "Admin":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from limiter.client.admin import Admin

    return Admin
