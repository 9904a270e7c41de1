"""Two hundred bots that wait, on a virtual clock: what each asks by `SlotRequest`, decided by the rules.

The same with real processes is `python -m benchmarks waiting`.
"""

import heapq
import random
from itertools import pairwise
from typing import Any

from limiter.calling.start import SlotRequest
from limiter.rules.records import Session
from limiter.rules.sessions import Admission
from tests.rules.world import NOW, SECOND, admitted, asked, decide, new_state, stop

BOTS, FREED_AT, LET_IN = 200, 60.0, 30


def test_each_asks_at_most_once_in_ten_seconds_and_one_slot_goes_out_in_order() -> None:
    chance, state = random.Random(15), new_state(MAX_CONCURRENT_BOTS=1, BOT_LEASE_SECONDS=86_400)
    holder: Session | None = admitted(state, "holder")
    bots = [SlotRequest(f"u{n}", None, {}, wait_seconds=3600, now=0.0) for n in range(BOTS)]
    coming = [(chance.random(), n) for n in range(BOTS)]
    order = [n for _, n in sorted(coming)]
    heapq.heapify(coming)
    asks: list[list[float]] = [[] for _ in bots]
    let_in = list[int]()
    while len(let_in) < LET_IN:
        now, n = heapq.heappop(coming)
        at = NOW + round(now * SECOND)
        if holder is not None and now >= FREED_AT:
            stop(state, holder, at)
            holder = None
        bots[n].attempt(now)
        asks[n].append(now)
        body = bots[n].body
        answer: Any = decide(state, asked(f"u{n}", queue=body["queue"], ticket=body.get("ticket")), at)
        if isinstance(answer, Admission):
            let_in.append(n)
            stop(state, answer.session, at)  # it is done at once
            continue
        pause = bots[n].refused(answer.reason, answer.retry_after_seconds, answer.shown("en"), now)
        assert pause is not None
        heapq.heappush(coming, (now + pause, n))
    assert let_in == order[:LET_IN]
    assert min(later - before for one in asks for before, later in pairwise(one)) >= 10
    assert now < FREED_AT + 12 * LET_IN, "the next one asks within 12 s"
