"""The operator's half of the API: one method an endpoint, each the answer as it came.

Promises: a change is sent once; who is unsure whether it arrived reads before sending again. Raises Refused.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from limiter.client.wire import Answer, Connection


class Admin:
    """`with Admin(url, key) as admin: admin.capacity()`; LIMITER_URL, LIMITER_KEY, LIMITER_LANG where not given.

    One object serves many threads.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, *, language: str | None = None, timeout: float = 10.0
    ) -> None:
        self.connection = Connection(url, key, language)
        self._http = self.connection.open(httpx.Client, timeout)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What is

    def whoami(self) -> Answer:
        """The key that is sent: id, name, scope."""
        return self._get("whoami")

    def capacity(self) -> Answer:
        """Bots, limit, per cent, free slots, status."""
        return self._get("capacity")

    def stats(self) -> Answer:
        """Everything of one instant: capacity, limits, system, rates, sessions, top users, decisions."""
        return self._get("stats")

    def health(self) -> Answer:
        """Status, alert and checks; also where the limiter is down and says so with a 503."""
        reply = self._reply("GET", "/api/admin/health")
        if isinstance(reply, httpx.Response) and reply.status_code == 503:
            with_checks = reply.json() if "json" in reply.headers.get("Content-Type", "") else None
            if isinstance(with_checks, dict) and "checks" in with_checks:
                return with_checks
        return self._answer(reply)

    def advice(self) -> Answer:
        """The limit that this machine's memory is good for, and what speaks for a larger one."""
        return self._get("advice")

    def audit(self, **query: Any) -> Answer:
        """`limit`, `cursor`: who changed what, newest first."""
        return self._get("audit", query)

    # Limits

    def limits(self) -> Answer:
        """Every limit with its value, source and bounds, and the version."""
        return self._get("limits")

    def change_limits(
        self, changes: Mapping[str, Any], reason: str, *, version: int | None = None, override_guard: bool = False
    ) -> Answer:
        """Set limits, all or none. `version`: refuse where others changed them since."""
        body = {"changes": dict(changes), "reason": reason, "override_guard": override_guard}
        return self._send("PATCH", "limits", body if version is None else body | {"version": version})

    def preview(self, changes: Mapping[str, Any]) -> Answer:
        """What the changes would do, and would have done to the demand of 7 days. Changes nothing."""
        return self._send("POST", "limits/preview", {"changes": dict(changes)})

    def limits_history(self, **query: Any) -> Answer:
        """`limit`, `cursor`: the versions, newest first."""
        return self._get("limits/history", query)

    def rollback(self, version: int, reason: str, *, override_guard: bool = False) -> Answer:
        """A new version with the values of that one."""
        return self._send(
            "POST", "limits/rollback", {"version": version, "reason": reason, "override_guard": override_guard}
        )

    def user_limits(self, user_id: str) -> Answer:
        """The limits of one user that go over the system's."""
        return self._get(f"users/{segment(user_id)}/limits")

    def set_user_limits(
        self, user_id: str, limits: Mapping[str, Any], reason: str, *, until: str | None = None
    ) -> Answer:
        """Replace that user's set; `until`, an RFC 3339 instant, ends it."""
        body = {"limits": dict(limits), "reason": reason}
        return self._send("PUT", f"users/{segment(user_id)}/limits", body if until is None else body | {"until": until})

    def clear_user_limits(self, user_id: str, reason: str) -> Answer:
        """The system's limits hold for that user again."""
        return self._send("DELETE", f"users/{segment(user_id)}/limits", {"reason": reason})

    def usage(self, user_id: str) -> Answer:
        """Bots, trades today and signals of the last minute of one user, against the limits."""
        return self._answer(self._reply("GET", f"/api/users/{segment(user_id)}/usage"))

    # Sessions

    def sessions(self, **query: Any) -> Answer:
        """`status` active, suspect or ended; `user_id`, `limit`, `cursor`: newest first."""
        return self._get("sessions", query)

    def stop_session(self, public_id: str, reason: str) -> Answer:
        """End one session; its bot is told at its next beat."""
        return self._send("POST", f"sessions/{segment(public_id)}/stop", {"reason": reason})

    def reap(self, reason: str) -> Answer:
        """End every suspect session."""
        return self._send("POST", "sessions/reap", {"reason": reason})

    def pause(self, reason: str) -> Answer:
        """Refuse every start from now on; running bots go on."""
        return self._send("POST", "pause", {"reason": reason})

    def resume(self, reason: str) -> Answer:
        """Admit starts again."""
        return self._send("POST", "resume", {"reason": reason})

    # What was

    def refusals(self, **query: Any) -> Answer:
        """`user_id`, `reason`, `since`, `cursor`: newest first."""
        return self._get("refusals", query)

    def explain(self, request_id: str) -> Answer:
        """Why that request was refused, with the facts of its instant."""
        return self._get(f"refusals/{segment(request_id)}")

    def history(self, **query: Any) -> Answer:
        """Buckets over time; `start`, `end` (RFC 3339), `step` (seconds)."""
        return self._get("history", period(query))

    def history_csv(self, **query: Any) -> str:
        """The same as CSV."""
        reply = self._reply("GET", "/api/admin/history", query=period(query) | {"format": "csv"})
        self._answer(reply, json=False)
        assert isinstance(reply, httpx.Response)
        return reply.text

    def notes(self, **query: Any) -> Answer:
        """What operators wrote beside the history; `start`, `end` (RFC 3339)."""
        return self._get("notes", period(query))

    def add_note(self, text: str, *, at: str | None = None) -> Answer:
        """Write one, for now or for an RFC 3339 instant."""
        return self._send("POST", "notes", {"text": text} if at is None else {"text": text, "at": at})

    # Plan, alerts, keys

    def plan(self) -> Answer:
        """The steps of the launch plan, each planned, applied or held."""
        return self._get("plan")

    def set_plan(self, steps: list[Mapping[str, Any]], reason: str) -> Answer:
        """Replace the plan: `at` (RFC 3339) and `MAX_CONCURRENT_BOTS` a step."""
        return self._send("PUT", "plan", {"steps": [dict(step) for step in steps], "reason": reason})

    def clear_plan(self, reason: str) -> Answer:
        """Plan nothing."""
        return self._send("DELETE", "plan", {"reason": reason})

    def alerts(self, **query: Any) -> Answer:
        """`state` open, acknowledged or resolved; `limit`, `cursor`: incidents, newest first, and the channels."""
        return self._get("alerts", query)

    def acknowledge(self, alert_id: str | int, reason: str | None = None) -> Answer:
        """Say that someone looks after that alert."""
        body = {} if reason is None else {"reason": reason}
        return self._send("POST", f"alerts/{segment(str(alert_id))}/ack", body)

    def test_alert(self) -> Answer:
        """Send a test message to every channel; the answer waits some seconds for what each of them says."""
        return self._send("POST", "alerts/test", None)

    def keys(self) -> Answer:
        """The keys, without their secrets."""
        return self._get("keys")

    def create_key(self, scope: str, name: str = "") -> Answer:
        """A new key; its secret is in this answer and never again."""
        return self._send("POST", "keys", {"scope": scope, "name": name})

    def revoke_key(self, key_id: str) -> Answer:
        """That key opens nothing any more, within 5 s."""
        return self._send("DELETE", f"keys/{segment(key_id)}", None)

    # The one request

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> Answer:
        return self._answer(self._reply("GET", f"/api/admin/{path}", query=query))

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        return self._answer(self._reply(method, f"/api/admin/{path}", body))

    def _reply(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> httpx.Response | httpx.RequestError:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            return self._http.request(method, path, json=body, params=given)
        except httpx.RequestError as error:
            return error

    def _answer(self, reply: httpx.Response | httpx.RequestError, *, json: bool = True) -> Answer:
        refused = self.connection.refusal(reply)
        if refused is not None:
            raise refused
        assert isinstance(reply, httpx.Response)
        answer: Answer = reply.json() if json else {}
        return answer


def segment(text: str) -> str:
    """The text as one segment of a path, `/` included."""
    return quote(text, safe="")


def period(query: Mapping[str, Any]) -> dict[str, Any]:
    """`from` is a word of Python's own, so callers say `start` and `end`."""
    return {{"start": "from", "end": "to"}.get(name, name): value for name, value in query.items()}
