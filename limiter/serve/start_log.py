"""What the log is like, and what it says of a start."""

import logging
import sys

from limiter.committer import Committer
from limiter.config import Config
from limiter.events import JsonLines
from limiter.hosts import web_address
from limiter.rules.room import capacity

log = logging.getLogger("limiter")


def set_up_logging(form: str) -> None:
    """Log lines on stderr, in the form asked for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines name whole addresses, secrets in them too


def log_start(config: Config, committer: Committer, host: str, port: int) -> None:
    state = committer.state
    for name, setting in state.limits.settings.items():
        if state.limits.hidden(name):
            hidden = state.limits.configured[name]
            log.warning(
                "limit_hidden name=%s live=%s hides=%s source=%s", name, setting.value, hidden.value, hidden.source
            )
    if not state.channels:
        log.warning("no_alert_channel: LIMITER_ALERT_URLS is not set, so nobody is told when the server is full")
    held = capacity(state, committer.clock.now())
    log.info(
        "serving url=%s bots=%d/%d limits_version=%d zone=%s",
        web_address(host, port), held.current, held.maximum, state.limits.version, config.timezone,
    )  # fmt: skip
