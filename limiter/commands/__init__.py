"""The commands that ask a running limiter over HTTP, for a person, or with `--json` the API's own answer for a program.

Promises: the answer on stdout; what goes wrong as one sentence on stderr, with exit status 1 (2: a wrong command line).
A module a subject; to add a command, write it there and name it in COMMANDS.
"""

from limiter.commands.alerts import alerts
from limiter.commands.box import box
from limiter.commands.capacity import advice, capacity, stats
from limiter.commands.deciding import forecast, lease, sizing, state
from limiter.commands.drain import drain
from limiter.commands.limits import limits
from limiter.commands.notes import audit, notes
from limiter.commands.plan import plan
from limiter.commands.refusals import explain
from limiter.commands.sessions import pause, resume, sessions
from limiter.commands.usage import who
from limiter.commands.users import usage, users
from limiter.commands.windows import windows

COMMANDS = (
    capacity, stats, advice, limits, plan, windows, sessions, users, usage, who, pause, resume, drain, explain, alerts,
    notes, audit, box, forecast, lease, sizing, state,
)  # fmt: skip
