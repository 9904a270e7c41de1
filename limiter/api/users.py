"""One user's own limits."""

from limiter.answers import users as s
from limiter.api.limits import accept
from limiter.http.call import Call, Refused, good
from limiter.http.wire import Answer, instant, iso, ok
from limiter.rules.changes import OverrideUser
from limiter.rules.limits import USER_LIMITS, Limits
from limiter.rules.refusals import invalid
from limiter.system_limits import Value


def user_limits_answer(call: Call, user_id: str, held: Limits) -> Answer:
    """One user's own limits, as they are answered."""
    own = held.overrides.get(user_id)
    if own is None:
        answer = s.UserLimitsAnswer(user_id, {}, None, None, False, None, None, held.version, False)
    else:
        answer = s.UserLimitsAnswer(
            user_id, dict(own.limits), own.reason, iso(own.until), not own.holds(call.now()),
            iso(own.changed_at), own.changed_by, held.version, own.reserve,
        )  # fmt: skip
    return ok(answer)


async def user_limits(call: Call) -> Answer:
    """The user's own limits."""
    return user_limits_answer(call, call.name("user_id"), call.services.committer.state.limits)


async def set_user_limits(call: Call) -> Answer:
    """Give a user own limits, in place of those before."""
    body: s.OverrideBody = call.body
    user_id = call.name("user_id")
    accepted = accept(body.limits, USER_LIMITS)
    if any(value is None for value in body.limits.values()):
        raise Refused(
            invalid("limits", "leave a limit out where the system's value shall hold", "null n'est pas permis ici")
        )
    values: dict[str, Value] = {name: value for name, value in accepted.items() if value != "back"}
    until = None if body.until is None else good(instant("until", body.until))
    if until is not None and until <= call.now():
        raise Refused(invalid("until", "is in the past", "est déjà passé"))
    request = OverrideUser(user_id, values, until, body.reason, call.actor.name, body.reserve, body.version)
    held = await call.decide(request)
    return user_limits_answer(call, user_id, held)


async def clear_user_limits(call: Call) -> Answer:
    """Take the user's own limits back."""
    user_id, body = call.name("user_id"), call.body
    held = await call.decide(OverrideUser(user_id, {}, None, body.reason, call.actor.name, version=body.version))
    return user_limits_answer(call, user_id, held)
