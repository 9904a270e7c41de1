"""Limits in words."""

from limiter.console.kit.words import t


def sources() -> dict[str, str]:
    """Where a value may come from."""
    return {"live": t("live change"), "environment": t("environment"), "env_file": ".env", "default": t("default")}


def meanings() -> dict[str, str]:
    """What each limit means, by name."""
    return {
        "MAX_CONCURRENT_BOTS": t("Bots running at once, all users together; 0 refuses every start but a replacement."),
        "MAX_BOTS_PER_USER": t("Bots running at once for one user; 0 suspends."),
        "MAX_TRADES_PER_DAY": t("Trades of one user a day; a trade that closes a position is never refused."),
        "ALERT_THRESHOLD": t("Percentage of MAX_CONCURRENT_BOTS from which the operator is alerted."),
        "WEBSOCKET_RECONNECT": t("Seconds a bot waits before it reconnects its feed; told to the bots."),
        "MAX_TOKENS_PER_MINUTE": t("Tokens of the feed in any 60 s, all bots together."),
        "MAX_SIGNALS_PER_MINUTE": t("Signals in any 60 s, all bots together."),
        "MAX_SIGNALS_PER_MINUTE_PER_USER": t("Signals of one user in any 60 s."),
        "BOT_LEASE_SECONDS": t("Seconds a bot keeps its slot without a heartbeat."),
    }


def meaning(name: str) -> str:
    """What the limit means."""
    return meanings()[name]
