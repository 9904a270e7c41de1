"""A child that the kernel ends when its parent does, in whatever way. Linux; elsewhere it is as any other child."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

BY_SIGNAL = 128
PR_SET_PDEATHSIG = 1


def dies_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes the command, so that the kernel ends it when we end; None but on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here, so that the child does as little as it can
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we ended between the fork and the line above
            os._exit(BY_SIGNAL + signal.SIGKILL)

    return ask_kernel
