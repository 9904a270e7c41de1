"""What the bots that run were measured to cost, and how many the box carries: for the answers that tell of it."""

from limiter.http.call import Call
from limiter.jobs.sampler import cores, ram_bytes
from limiter.rules.box import Bot, Figures, Machine, figures
from limiter.rules.holding import holders
from limiter.store import read
from limiter.units import GIB


async def measured(call: Call) -> Figures:
    """The figures of this box with the bots that hold a slot now."""
    services, now = call.services, call.now()
    bots = [
        Bot(one.memory_bytes, one.cpu_percent, one.start_cpu_seconds) for one in holders(services.committer.state, now)
    ]
    cpu = await call.read(read.box_use.cpu_of_a_day, now)
    return figures(Machine(int(services.box.detected_ram_gb * GIB), ram_bytes()[1], cores(), cpu), bots)
