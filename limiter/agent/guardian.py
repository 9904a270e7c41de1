"""Brings the agent back: a small process that starts it, waits for its end and starts it again.

Promises: an agent that was killed is there again at once and takes its bots over; a guardian that was killed is
replaced by the agent, which sees it and becomes `guardian` itself. Only both killed within the same few milliseconds
leave none, until the next `run` (or the user unit). The lock of the folder passes from one to the other by inheritance,
so no second agent can come in between.
"""

import os
import signal
import sys
import time

from limiter.agent.words import REFUSED, UNREADABLE

PACKAGE_FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder that `limiter` is imported from."""
SLOWEST_SECONDS = 2.0  # between two starts of an agent that does not live
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def command(module: str, arguments: list[str]) -> list[str]:
    """The command line of our own programs: without the user's site, and without what lies in the working folder."""
    return [sys.executable, "-sSP", "-m", *module.split(" "), *arguments]


def own_environment() -> dict[str, str]:
    """What the agent lives with. Nothing of a bot's: it would count itself as one."""
    names = ("PATH", "HOME", "LANG", "LIMITER_LANG", "XDG_RUNTIME_DIR", "LIMITER_AGENT_SOCKET")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {"PYTHONPATH": PACKAGE_FOLDER}


def spawn(module: str, path: str, descriptor: int, options: list[str]) -> int:
    """Start one of our programs for the socket at `path`, with the descriptor that holds its folder's lock; its pid."""
    os.set_inheritable(descriptor, True)
    whole = command(module, ["--serve", path, str(descriptor), *options])
    return os.posix_spawn(sys.executable, whole, own_environment())


def main(arguments: list[str]) -> int:
    """`--serve PATH DESCRIPTOR [--away] [the agent's options]`: guard until the agent ends by itself; its status."""
    path, descriptor, options = arguments[1], int(arguments[2]), arguments[3:]
    if "--away" in options:
        descriptor = go_away(descriptor)
    agent = 0

    def pass_on(number: int, _frame: object) -> None:
        if not agent:
            os._exit(0)
        os.kill(agent, number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored by who started us, no end of a child would be told
    delay = 0.0
    while True:
        began = time.monotonic()
        agent = spawn("limiter agent", path, descriptor, ["--guarded-by", str(os.getpid()), *options])
        _, status = os.waitpid(agent, 0)
        agent = 0
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) in (0, REFUSED, UNREADABLE):
            return os.WEXITSTATUS(status)
        if not os.fstat(descriptor).st_nlink:  # its folder is gone, and with it the book
            return UNREADABLE
        delay = 0.0 if time.monotonic() - began > 1 else min(SLOWEST_SECONDS, delay * 2 + 0.05)
        time.sleep(delay)


def go_away(descriptor: int) -> int:
    """Leave what the first `run` brought along: folder, descriptors, blocked signals and its control group.

    The lock's descriptor from here on.
    """
    from limiter.agent.cgroups import leave

    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    kept = os.dup2(descriptor, 3, inheritable=False) if descriptor != 3 else 3
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    leave()
    return kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
