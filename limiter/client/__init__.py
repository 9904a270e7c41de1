"""The limiter's HTTP API as functions: BotSession and AsyncBotSession for a bot, Admin for CLI and console."""

from limiter.client.admin import Admin
from limiter.client.sessions import AsyncBotSession, BotSession
from limiter.client.wire import Refused

__all__ = ["Admin", "AsyncBotSession", "BotSession", "Refused"]
