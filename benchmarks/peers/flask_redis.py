"""Flask and redis-py: the same Lua script, a thread a request."""

import os
import secrets
import time
from pathlib import Path

import redis
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)
store = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
start_script = store.register_script((Path(__file__).parent / "slots.lua").read_text())
CAP = int(os.environ["MAX_CONCURRENT_BOTS"])


@app.post("/api/bots/start")
def start() -> ResponseReturnValue:
    """Take a slot."""
    body = request.get_json()
    user, bot, session_id, now = body["user_id"], body.get("bot_id") or "b", secrets.token_urlsafe(18), time.time()
    said = start_script(keys=[f"user:{user}", "active", f"session:{session_id}"], args=[CAP, user, bot, now])
    if said != "ok":
        return jsonify(success=False, reason=said), 503 if said == "server_full" else 429
    return jsonify(success=True, session_id=session_id, user_id=user, bot_id=bot, started_at=now), 201
