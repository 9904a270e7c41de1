"""The launch plan over HTTP."""

from limiter.answers import plan as s
from limiter.api.limits import accept
from limiter.http.call import Call, Refused, good
from limiter.http.wire import Answer, instant, iso, ok
from limiter.rules.guards import said
from limiter.rules.plan import SetPlan
from limiter.rules.records import Step
from limiter.rules.refusals import invalid
from limiter.rules.schedule import MAX


def _answer(call: Call, steps: tuple[Step, ...]) -> Answer:
    rows = [
        s.PlanStep(
            str(iso(step.at)), step.max_bots, step.status, iso(step.applied_at),
            said(step.held_by).told(call.language) if step.held_by else None, step.confirm_within,
        )
        for step in steps
    ]  # fmt: skip
    return ok(s.PlanAnswer(rows, call.services.committer.state.schedule.version))


async def plan(call: Call) -> Answer:
    """The steps, each planned, applied or held."""
    return _answer(call, call.services.committer.state.plan)


async def set_plan(call: Call) -> Answer:
    """A plan in place of the one before."""
    body: s.PlanBody = call.body
    steps = []
    for number, wanted in enumerate(body.steps):
        if wanted.max_bots is None:
            field = f"steps[{number}].MAX_CONCURRENT_BOTS"
            raise Refused(invalid(field, "must be a number", "nombre attendu", 400))
        value = accept({MAX: wanted.max_bots}, (MAX,), f"steps[{number}]")[MAX]
        assert isinstance(value, int)
        at = good(instant(f"steps[{number}].at", wanted.at))
        steps.append(Step(at, value, confirm_within=wanted.confirm_within))
    return _answer(call, await call.decide(SetPlan(tuple(steps), body.reason, call.actor.name, body.version)))


async def clear_plan(call: Call) -> Answer:
    """No plan any more; what it has applied stays."""
    reason, version = ("", None) if call.body is None else (call.body.reason, call.body.version)
    return _answer(call, await call.decide(SetPlan((), reason, call.actor.name, version)))
