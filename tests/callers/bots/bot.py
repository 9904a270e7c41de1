"""python3 bot.py URL USER requests|aiohttp|httpx|urllib: one session by that library."""

import asyncio
import json
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

URL, USER, WAY = sys.argv[1:]
Post = Callable[[str, dict[str, Any]], Awaitable[tuple[int, str]]]


async def session(send: Post) -> None:
    async def post(path: str, body: dict[str, Any], wanted: int) -> Any:
        status, text = await send(f"{URL}/api/bots/{path}", body)
        if status != wanted:
            sys.exit(f"{path}: {status} {text}")
        return json.loads(text)

    name = {"session_id": (await post("start", {"user_id": USER}, 201))["session"]["session_id"]}
    await post("heartbeat", name, 200)
    await post("trades", {**name, "symbol": "BTC/USDT", "side": "buy", "quantity": "1", "price": "100"}, 201)
    await post("stop", name, 200)
    print("stopped")


async def by_aiohttp() -> None:
    import aiohttp  # type: ignore[import-not-found]  # of the system, not of the tests

    async with aiohttp.ClientSession() as http:

        async def send(url: str, body: dict[str, Any]) -> tuple[int, str]:
            async with http.post(url, json=body) as answer:
                return answer.status, await answer.text()

        await session(send)


async def by_a_blocking_one() -> None:
    if WAY == "requests":
        import requests

        kept: Any = requests.Session()
    elif WAY == "httpx":
        import httpx

        kept = httpx.Client(trust_env=False)

    async def send(url: str, body: dict[str, Any]) -> tuple[int, str]:
        if WAY == "urllib":
            headers = {"Content-Type": "application/json"}
            asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
            with urllib.request.urlopen(asked) as answer:
                return answer.status, answer.read().decode()
        answer = kept.post(url, json=body)
        return answer.status_code, answer.text

    await session(send)


asyncio.run(by_aiohttp() if WAY == "aiohttp" else by_a_blocking_one())
