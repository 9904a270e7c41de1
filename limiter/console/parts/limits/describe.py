"""Limits in words."""

from limiter.console.kit.words import t


def sources() -> dict[str, str]:
    """Where a value may come from."""
    return {
        "live": t("live change"), "window": t("window"),
        "environment": t("environment"), "env_file": ".env", "default": t("default"),
    }  # fmt: skip
