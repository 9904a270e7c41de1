"""Keys: list, make, revoke."""

from limiter.access import make_key
from limiter.answers import keys as s
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, iso, ok
from limiter.rules.changes import Write
from limiter.rules.records import Key
from limiter.rules.refusals import Refusal
from limiter.store import read


def key_row(key: Key) -> s.KeyRow:
    """A key without its secret."""
    return s.KeyRow(key.id, key.name, key.scope, str(iso(key.created_at)), iso(key.revoked_at))


async def keys(call: Call) -> Answer:
    """Every key, revoked ones too."""
    return ok(s.KeysAnswer([key_row(key) for key in await call.read(read.keys.keys)]))


async def whoami(call: Call) -> Answer:
    """The key that was sent; null where none was and none is needed."""
    return ok(s.KeyAnswer(key_row(call.actor.key) if call.actor.key else None))


async def create_key(call: Call) -> Answer:
    """A new key; its text is in this answer and nowhere else."""
    body: s.KeyBody = call.body
    text, key = make_key(body.scope, body.name, call.now())
    row = {name: getattr(key, name) for name in ("id", "name", "scope", "digest", "created_at", "revoked_at")}
    await call.decide(Write("keys", row, call.actor.name, "key", f"{key.id} {key.scope}"))
    call.services.access.load(await call.read(read.keys.keys))
    return ok(s.NewKeyAnswer(text, key.id), 201)


async def revoke_key(call: Call) -> Answer:
    """End a key, at once and for good."""
    key = call.services.access.keys.get(call.path["id"])
    if key is None or key is call.services.access.control:
        raise Refused(Refusal("not_found"))
    if key.revoked_at is None:
        await call.decide(Write("keys", {"id": key.id, "revoked_at": call.now()}, call.actor.name, "revoke", key.id))
        call.services.access.load(await call.read(read.keys.keys))
    return ok(s.KeyAnswer(key_row(call.services.access.keys[key.id])))
