"""The limits as the contract has them, one row each, for those who compare the program with it."""

# name: default, unit, scope, least, most
CATALOGUE: dict[str, tuple[int | None, str, str, float, int]] = {
    "MAX_CONCURRENT_BOTS": (200, "bots", "system", 0, 1_000_000),
    "MAX_BOTS_PER_USER": (1, "bots", "user", 0, 10_000),
    "MAX_TRADES_PER_DAY": (500, "trades", "user", 0, 10_000_000),
    "ALERT_THRESHOLD": (80, "%", "system", 1, 99),
    "WEBSOCKET_RECONNECT": (5, "s", "system", 0.1, 3600),
    "MAX_TOKENS_PER_MINUTE": (1000, "tokens", "system", 0, 10_000_000),
    "MAX_SIGNALS_PER_MINUTE": (100, "signals", "system", 0, 10_000_000),
    "MAX_SIGNALS_PER_MINUTE_PER_USER": (None, "signals", "user", 0, 10_000_000),
    "BOT_LEASE_SECONDS": (60, "s", "session", 5, 86_400),
    "RESERVED_SLOTS": (0, "bots", "system", 0, 1_000_000),
    "MAX_STARTS_PER_MINUTE": (None, "starts", "system", 0, 10_000_000),
    "MAX_CPU_PERCENT": (None, "%", "system", 1, 100),
    "MAX_RAM_PERCENT": (None, "%", "system", 1, 100),
}
