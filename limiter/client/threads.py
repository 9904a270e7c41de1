"""Which threads a bot's beats come from where gevent or eventlet has put green ones in the place of the kernel's.

A green thread runs when the bot's own code lets it: a bot that computes for longer than a lease would lose its slot,
and would not see that it has.
"""

import logging
import sys
from collections.abc import Callable

log = logging.getLogger("limiter.client")

Start = Callable[[Callable[[], object], tuple[()]], object]


def native_start() -> Start | None:
    """What starts a thread of the kernel beside gevent's; None where `threading` does.

    Not so beside eventlet's: whoever waits there cannot be woken from another thread, so a warning says what helps.
    """
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and (gevent.is_module_patched("threading") or gevent.is_module_patched("socket")):
        start: Start = gevent.get_original("_thread", "start_new_thread")
        return start
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        log.warning(
            "eventlet has patched the threads: this bot loses its slot where it computes for longer than a lease."
            " `limiter run` holds the slot from outside of it."
        )
    return None
