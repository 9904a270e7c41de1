"""FastAPI and redis.asyncio: typed bodies, one Lua script a start."""

import os
import secrets
import time
from pathlib import Path

import redis.asyncio
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

app = FastAPI()
store = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, max_connections=256)
start_script = store.register_script((Path(__file__).parent / "slots.lua").read_text())
CAP = int(os.environ["MAX_CONCURRENT_BOTS"])


class Start(BaseModel):
    """What a bot sends."""

    user_id: str
    bot_id: str | None = None


class Session(BaseModel):
    """What it gets."""

    success: bool = True
    session_id: str
    user_id: str
    bot_id: str
    started_at: float


@app.post("/api/bots/start", status_code=201)
async def start(body: Start) -> Session:
    """Take a slot."""
    session = Session(
        session_id=secrets.token_urlsafe(18), user_id=body.user_id, bot_id=body.bot_id or "b", started_at=time.time()
    )
    said = await start_script(
        keys=[f"user:{body.user_id}", "active", f"session:{session.session_id}"],
        args=[CAP, session.user_id, session.bot_id, session.started_at],
    )
    if said != "ok":
        raise HTTPException(503 if said == "server_full" else 429, said)
    return session
