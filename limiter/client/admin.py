"""The operator's half of the API: one method an endpoint, each gives the answer as a value of `limiter.answers`.

Promises: a change is sent once; who is unsure whether it arrived reads before sending again; fields of a newer limiter
are passed over. Raises Refused: the limiter's reason, `out_of_reach`, or `not_a_limiter` (no such answer).
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from limiter.answers.alerts import AlertAnswer, AlertsAnswer, AlertTestAnswer
from limiter.answers.box import BoxAnswer
from limiter.answers.capacity import AdviceAnswer, CapacityAnswer, StatsAnswer
from limiter.answers.deciding import ExplainAnswer, ForecastAnswer, LeaseAnswer, SizingAnswer, StateAnswer
from limiter.answers.health import HealthAnswer
from limiter.answers.history import HistoryAnswer
from limiter.answers.keys import KeyAnswer, KeysAnswer, NewKeyAnswer
from limiter.answers.limits import ChangeAnswer, LimitRowsAnswer, PreviewAnswer, VersionsAnswer
from limiter.answers.notes import AuditAnswer, NoteAnswer, NotesAnswer
from limiter.answers.plan import PlanAnswer
from limiter.answers.refusals import RefusalAnswer, RefusalsAnswer
from limiter.answers.sessions import (
    DrainAnswer,
    PauseAnswer,
    ReapAnswer,
    SessionAnswer,
    SessionsAnswer,
    StoppedAnswer,
)
from limiter.answers.usage import WhoAnswer
from limiter.answers.users import UsageAnswer, UserLimitsAnswer
from limiter.answers.windows import WindowsAnswer
from limiter.client.wire import Connection, Reply

T = TypeVar("T", bound=msgspec.Struct)


class Admin:
    """`with Admin(url, key) as admin: admin.capacity()`; LIMITER_URL, LIMITER_KEY, LIMITER_LANG where not given.

    One object serves many threads. `timeout` is in seconds; `heard` is given each good answer's JSON as it came.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        language: str | None = None,
        timeout: float = 10.0,
        heard: Callable[[bytes], None] | None = None,
    ) -> None:
        self._heard = heard
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

    def whoami(self) -> KeyAnswer:
        """The key that is sent: id, name, scope."""
        return self._get(KeyAnswer, "whoami")

    def capacity(self) -> CapacityAnswer:
        """Bots, limit, per cent, free slots, status."""
        return self._get(CapacityAnswer, "capacity")

    def stats(self) -> StatsAnswer:
        """Everything of one instant: capacity, limits, system, rates, sessions, top users, decisions."""
        return self._get(StatsAnswer, "stats")

    def health(self) -> HealthAnswer:
        """Status, alert and checks; also where the limiter is down and says so with a 503."""
        reply = self._reply("GET", "/api/admin/health")
        if isinstance(reply, httpx.Response) and reply.status_code == 503:
            with contextlib.suppress(msgspec.DecodeError):
                return msgspec.json.decode(reply.content, type=HealthAnswer)
        return self._decoded(HealthAnswer, reply)

    def advice(self) -> AdviceAnswer:
        """The limit that this machine's memory is good for, and what speaks for a larger one."""
        return self._get(AdviceAnswer, "advice")

    def box(self) -> BoxAnswer:
        """How many of the bots that run this machine carries, what they cost, and the bots without a slot."""
        return self._get(BoxAnswer, "box")

    def who(self, days: int | None = None, idle_seconds: int | None = None) -> WhoAnswer:
        """Who uses up which limit, whose trades close, who is idle for so long (3600 s), how concentrated slot-hours
        of so many days (1 to 28; 28) are, and how many demands were behind the attempts."""
        return self._get(WhoAnswer, "usage", {"days": days, "idle_seconds": idle_seconds})

    def forecast(self, days: int | None = None) -> ForecastAnswer:
        """The bots of the next days (1 to 28; 14) by the hour, and the chance that the limit is reached."""
        return self._get(ForecastAnswer, "forecast", {"days": days})

    def sizing(self, refused: float | None = None, users: int | None = None) -> SizingAnswer:
        """Slots with which at most that share (0.01) of demands is refused, for so many users (those seen)."""
        return self._get(SizingAnswer, "sizing", {"refused": refused, "users": users})

    def lease_evidence(self) -> LeaseAnswer:
        """What each length of a lease would have done in the last 7 days."""
        return self._get(LeaseAnswer, "lease-evidence")

    def audit(self, **query: Any) -> AuditAnswer:
        """`limit`, `cursor`: who changed what, newest first."""
        return self._get(AuditAnswer, "audit", query)

    # Limits

    def limits(self) -> LimitRowsAnswer:
        """Every limit with its value, source and bounds, and the version."""
        return self._get(LimitRowsAnswer, "limits")

    def change_limits(
        self,
        changes: Mapping[str, Any],
        reason: str,
        *,
        version: int | None = None,
        override_guard: bool = False,
        confirm_within: int | None = None,
    ) -> ChangeAnswer:
        """Set limits, all or none. `version`: refuse where others changed them since; `confirm_within`: taken back
        after so many seconds unless `confirm_limits` comes first."""
        body = {"changes": dict(changes), "reason": reason, "override_guard": override_guard} | _trial(confirm_within)
        return self._send(ChangeAnswer, "PATCH", "limits", body if version is None else body | {"version": version})

    def preview(self, changes: Mapping[str, Any]) -> PreviewAnswer:
        """What the changes would do, and would have done to the demand of 7 days. Changes nothing."""
        return self._send(PreviewAnswer, "POST", "limits/preview", {"changes": dict(changes)})

    def limits_history(self, **query: Any) -> VersionsAnswer:
        """`limit`, `cursor`: the versions, newest first."""
        return self._get(VersionsAnswer, "limits/history", query)

    def rollback(
        self,
        version: int,
        reason: str,
        *,
        override_guard: bool = False,
        confirm_within: int | None = None,
        limits_version: int | None = None,
    ) -> ChangeAnswer:
        """A new version with the values of that one; only where no limits have changed since `limits_version`."""
        body = {"version": version, "reason": reason, "override_guard": override_guard} | _trial(confirm_within)
        return self._send(ChangeAnswer, "POST", "limits/rollback", body | {"limits_version": limits_version})

    def confirm_limits(self, version: int, reason: str) -> ChangeAnswer:
        """Keep the change of that version, which is on probation."""
        return self._send(ChangeAnswer, "POST", "limits/confirm", {"version": version, "reason": reason})

    def user_limits(self, user_id: str) -> UserLimitsAnswer:
        """The limits of one user that go over the system's."""
        return self._get(UserLimitsAnswer, f"users/{segment(user_id)}/limits")

    def set_user_limits(
        self,
        user_id: str,
        limits: Mapping[str, Any],
        reason: str,
        *,
        until: str | None = None,
        reserve: bool = False,
        version: int | None = None,
    ) -> UserLimitsAnswer:
        """Replace that user's set; `until`, an RFC 3339 instant, ends it. `reserve`: reserved slots are for that user
        too; only where no limits have changed since `version`."""
        body = {"limits": dict(limits), "reason": reason, "reserve": reserve, "version": version}
        return self._send(
            UserLimitsAnswer,
            "PUT",
            f"users/{segment(user_id)}/limits",
            body if until is None else body | {"until": until},
        )

    def clear_user_limits(self, user_id: str, reason: str, *, version: int | None = None) -> UserLimitsAnswer:
        """The system's limits hold for that user again; only where no limits have changed since `version`."""
        body = {"reason": reason, "version": version}
        return self._send(UserLimitsAnswer, "DELETE", f"users/{segment(user_id)}/limits", body)

    def usage(self, user_id: str) -> UsageAnswer:
        """Bots, trades today and signals of the last minute of one user, against the limits."""
        return self._decoded(UsageAnswer, self._reply("GET", f"/api/users/{segment(user_id)}/usage"))

    # Sessions

    def sessions(self, **query: Any) -> SessionsAnswer:
        """`status` active, suspect or ended; `user_id`, `limit`, `cursor`: newest first. `order` memory or cpu: the
        heaviest of those that hold a slot."""
        return self._get(SessionsAnswer, "sessions", query)

    def stop_session(self, public_id: str, reason: str, *, in_seconds: int | None = None) -> SessionAnswer:
        """End one session, at once or in so many seconds; its bot is told at its next beat."""
        return self._send(SessionAnswer, "POST", f"sessions/{segment(public_id)}/stop", _stop(reason, in_seconds))

    def keep_session(self, public_id: str, reason: str) -> SessionAnswer:
        """Take back the stop that was announced of one session."""
        return self._send(SessionAnswer, "DELETE", f"sessions/{segment(public_id)}/stop", {"reason": reason})

    def stop_sessions(self, public_ids: Sequence[str], reason: str, *, in_seconds: int | None = None) -> StoppedAnswer:
        """End up to 500 sessions, at once or in so many seconds: all, or none where one was never known."""
        body = {"public_ids": list(public_ids)} | _stop(reason, in_seconds)
        return self._send(StoppedAnswer, "POST", "sessions/stop", body)

    def keep_sessions(self, public_ids: Sequence[str], reason: str) -> StoppedAnswer:
        """Take back the stops that were announced of these."""
        return self._send(StoppedAnswer, "DELETE", "sessions/stop", {"public_ids": list(public_ids), "reason": reason})

    def stop_user(self, user_id: str, reason: str, *, in_seconds: int | None = None) -> StoppedAnswer:
        """End every session of that user, at once or in so many seconds."""
        return self._send(StoppedAnswer, "POST", f"users/{segment(user_id)}/stop", _stop(reason, in_seconds))

    def keep_user(self, user_id: str, reason: str) -> StoppedAnswer:
        """Take back the stops that were announced of that user's sessions."""
        return self._send(StoppedAnswer, "DELETE", f"users/{segment(user_id)}/stop", {"reason": reason})

    def reap(self, reason: str) -> ReapAnswer:
        """End every suspect session."""
        return self._send(ReapAnswer, "POST", "sessions/reap", {"reason": reason})

    def drain(self) -> DrainAnswer:
        """The drain that goes on, and how many bots are left; None where there is none."""
        return self._get(DrainAnswer, "drain")

    def start_drain(self, reason: str, *, stop_in_seconds: int | None = None) -> DrainAnswer:
        """Refuse every start and tell the bots; who is left in so many seconds is ended."""
        body: dict[str, Any] = {"reason": reason}
        return self._send(
            DrainAnswer,
            "POST",
            "drain",
            body if stop_in_seconds is None else body | {"stop_in_seconds": stop_in_seconds},
        )

    def cancel_drain(self, reason: str) -> DrainAnswer:
        """Admit starts again; who has not been ended goes on."""
        return self._send(DrainAnswer, "DELETE", "drain", {"reason": reason})

    def pause(self, reason: str) -> PauseAnswer:
        """Refuse every start from now on; running bots go on."""
        return self._send(PauseAnswer, "POST", "pause", {"reason": reason})

    def resume(self, reason: str) -> PauseAnswer:
        """Admit starts again."""
        return self._send(PauseAnswer, "POST", "resume", {"reason": reason})

    # What was

    def refusals(self, **query: Any) -> RefusalsAnswer:
        """`user_id`, `reason`, `since`, `cursor`: newest first."""
        return self._get(RefusalsAnswer, "refusals", query)

    def refusal(self, request_id: str) -> RefusalAnswer:
        """That refusal with the facts of its instant."""
        return self._get(RefusalAnswer, f"refusals/{segment(request_id)}")

    def explain(self, request_id: str) -> ExplainAnswer:
        """Why that request was refused, who held the slots then, and what would have admitted it."""
        return self._get(ExplainAnswer, f"explain/{segment(request_id)}")

    def state(self, at: str | None = None) -> StateAnswer:
        """Who held which slot at an RFC 3339 instant (now where None), under which limits."""
        return self._get(StateAnswer, "state", {"at": at})

    def history(self, **query: Any) -> HistoryAnswer:
        """Buckets over time; `start`, `end` (RFC 3339), `step` (seconds)."""
        return self._get(HistoryAnswer, "history", period(query))

    def history_csv(self, **query: Any) -> str:
        """The same as CSV."""
        return self._good(self._reply("GET", "/api/admin/history", query=period(query) | {"format": "csv"})).text

    def notes(self, **query: Any) -> NotesAnswer:
        """What operators wrote beside the history; `start`, `end` (RFC 3339)."""
        return self._get(NotesAnswer, "notes", period(query))

    def add_note(self, text: str, *, at: str | None = None) -> NoteAnswer:
        """Write one, for now or for an RFC 3339 instant."""
        return self._send(NoteAnswer, "POST", "notes", {"text": text} if at is None else {"text": text, "at": at})

    # Plan, alerts, keys

    def plan(self) -> PlanAnswer:
        """The steps of the launch plan, each planned, applied or held."""
        return self._get(PlanAnswer, "plan")

    def set_plan(self, steps: Sequence[Mapping[str, Any]], reason: str, *, version: int | None = None) -> PlanAnswer:
        """Replace the plan: `at` (RFC 3339), `MAX_CONCURRENT_BOTS` and, for a probation, `confirm_within` a step; only
        where nobody has set plan or windows since `version`."""
        body = {"steps": [dict(step) for step in steps], "reason": reason, "version": version}
        return self._send(PlanAnswer, "PUT", "plan", body)

    def clear_plan(self, reason: str, *, version: int | None = None) -> PlanAnswer:
        """Plan nothing; only where nobody has set plan or windows since `version`."""
        return self._send(PlanAnswer, "DELETE", "plan", {"reason": reason, "version": version})

    def windows(self) -> WindowsAnswer:
        """The peak windows, in the order in which they are looked at, and the one that is open."""
        return self._get(WindowsAnswer, "windows")

    def set_windows(
        self, windows: Sequence[Mapping[str, Any]], reason: str, *, version: int | None = None
    ) -> WindowsAnswer:
        """Replace them: `days` (mon … sun), `from`, `to` (HH:MM) and `MAX_CONCURRENT_BOTS` a window; only where nobody
        has set plan or windows since `version`."""
        body = {"windows": [dict(window) for window in windows], "reason": reason, "version": version}
        return self._send(WindowsAnswer, "PUT", "windows", body)

    def clear_windows(self, reason: str, *, version: int | None = None) -> WindowsAnswer:
        """No windows any more; only where nobody has set plan or windows since `version`."""
        return self._send(WindowsAnswer, "DELETE", "windows", {"reason": reason, "version": version})

    def alerts(self, **query: Any) -> AlertsAnswer:
        """`state` open, acknowledged or resolved; `limit`, `cursor`: incidents, newest first, and the channels."""
        return self._get(AlertsAnswer, "alerts", query)

    def acknowledge(self, alert_id: str | int, reason: str | None = None) -> AlertAnswer:
        """Say that someone looks after that alert."""
        body = {} if reason is None else {"reason": reason}
        return self._send(AlertAnswer, "POST", f"alerts/{segment(str(alert_id))}/ack", body)

    def test_alert(self) -> AlertTestAnswer:
        """Send a test message to every channel; the answer waits some seconds for what each of them says."""
        return self._send(AlertTestAnswer, "POST", "alerts/test", None)

    def keys(self) -> KeysAnswer:
        """The keys, without their secrets."""
        return self._get(KeysAnswer, "keys")

    def create_key(self, scope: str, name: str = "") -> NewKeyAnswer:
        """A new key; its secret is in this answer and never again."""
        return self._send(NewKeyAnswer, "POST", "keys", {"scope": scope, "name": name})

    def revoke_key(self, key_id: str) -> KeyAnswer:
        """That key opens nothing any more, within 5 s."""
        return self._send(KeyAnswer, "DELETE", f"keys/{segment(key_id)}", None)

    # The one request

    def _get(self, kind: type[T], path: str, query: Mapping[str, Any] | None = None) -> T:
        return self._decoded(kind, self._reply("GET", f"/api/admin/{path}", query=query))

    def _send(self, kind: type[T], method: str, path: str, body: Mapping[str, Any] | None) -> T:
        return self._decoded(kind, self._reply(method, f"/api/admin/{path}", body))

    def _reply(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> Reply:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            return self._http.request(method, path, json=body, params=given)
        except httpx.RequestError as error:
            return error

    def _good(self, reply: Reply) -> httpx.Response:
        if (refused := self.connection.refusal(reply)) is not None:
            raise refused
        assert isinstance(reply, httpx.Response)
        return reply

    def _decoded(self, kind: type[T], reply: Reply) -> T:
        good = self._good(reply)
        try:
            answer = msgspec.json.decode(good.content, type=kind)
        except msgspec.DecodeError as error:  # of a limiter that knows less than this client
            raise self.connection.strange(good.status_code, str(error)) from error
        if self._heard is not None:
            self._heard(good.content)
        return answer


def _trial(confirm_within: int | None) -> dict[str, Any]:
    return {} if confirm_within is None else {"confirm_within": confirm_within}


def _stop(reason: str, in_seconds: int | None) -> dict[str, Any]:
    return {"reason": reason} if in_seconds is None else {"reason": reason, "in_seconds": in_seconds}


def segment(text: str) -> str:
    """The text as one segment of a path, `/` included."""
    return quote(text, safe="")


def period(query: Mapping[str, Any]) -> dict[str, Any]:
    """`from` is a word of Python's own, so callers say `start` and `end`."""
    return {{"start": "from", "end": "to"}.get(name, name): value for name, value in query.items()}
