"""What the guardian hands on to the agent."""

from limiter.agent.bot import GRACE_SECONDS
from limiter.processes import MEASURED_AFTER_SECONDS, MEASURED_EVERY_SECONDS

IDLE_SECONDS = 600.0  # an agent that the first `run` started goes when nothing was asked of it for so long
TELL_SECONDS = 30.0  # the limiter forgets what it was not told again for 100 s
TAKE_A_VALUE = ("--guarded-by", "--idle", "--measure-every", "--measure-after", "--grace", "--tell-every")


class Options:
    """What the guardian hands on: `--away`, `--guarded-by PID` and, for tests, the times."""

    def __init__(self, arguments: list[str]) -> None:
        given = dict[str, str]()
        rest = iter(arguments)
        for name in rest:
            given[name] = next(rest) if name in TAKE_A_VALUE else ""
        self.away = "--away" in given
        self.groups = "--no-groups" not in given
        self.guardian = int(given.get("--guarded-by", "0"))
        self.idle_seconds = float(given.get("--idle", IDLE_SECONDS))
        self.measure_every = float(given.get("--measure-every", MEASURED_EVERY_SECONDS))
        self.measure_after = float(given.get("--measure-after", MEASURED_AFTER_SECONDS))
        self.grace_seconds = float(given.get("--grace", GRACE_SECONDS))
        self.tell_every = float(given.get("--tell-every", TELL_SECONDS))
        self.handed_on = [one for one in arguments if one != "--guarded-by" and one != given.get("--guarded-by")]
