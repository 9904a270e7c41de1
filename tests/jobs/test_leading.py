"""One of several limiters leads: what only one may do begins, ends and begins again with that."""

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from limiter.jobs import leading
from limiter.rules.records import Key

KEY = Key("k1", "admin", "admin:write", "digest", 1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "PERIOD_SECONDS", 0.001)


def test_it_runs_while_this_process_leads_and_ends_when_it_does_not() -> None:
    seen: list[str] = []
    leads = False

    async def run() -> None:
        seen.append("begins")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ends")

    async def main() -> None:
        nonlocal leads
        task = asyncio.create_task(leading.while_leading(lambda: leads, run))
        for now_leads, wanted in ((False, 0), (True, 1), (False, 2), (True, 3)):
            leads = now_leads
            async with asyncio.timeout(5):
                while len(seen) < wanted:
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.005)
            assert len(seen) == wanted
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert seen == ["begins", "ends", "begins", "ends"]


def test_what_fails_is_said_to_the_supervisor() -> None:
    async def run() -> None:
        raise ValueError("no channel")

    async def main() -> None:
        async with asyncio.timeout(5):
            await leading.while_leading(lambda: True, run)

    with pytest.raises(ValueError, match="no channel"):
        asyncio.run(main())


def test_keys_of_other_processes_are_followed_through_an_outage() -> None:
    answers: list[list[Key] | Exception] = [[], OperationalError("SELECT", None, Exception("away")), [KEY]]
    seen: list[list[Key]] = []

    def read() -> list[Key]:
        answer = answers.pop(0) if answers else [KEY]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def main() -> None:
        task = asyncio.create_task(leading.follow_keys(read, seen.append))
        async with asyncio.timeout(5):
            while [KEY] not in seen:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert seen[:2] == [[], [KEY]]
