"""ROUTES: every endpoint, declared. The server dispatches by it, and the OpenAPI document is built from it.

Scope None: no key is ever looked at. Scope "any": `bots` or `admin:read`.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

from limiter.answers.alerts import AcknowledgeBody, AlertAnswer, AlertsAnswer, AlertTestAnswer
from limiter.answers.bots import (
    HeartbeatAnswer,
    HeartbeatBody,
    HeartbeatsAnswer,
    HeartbeatsBody,
    SessionBody,
    SignalsBody,
    StartAnswer,
    StartBody,
    StopAnswer,
    StrangersAnswer,
    StrangersBody,
    TokensBody,
    TradeAnswer,
    TradeBody,
    UseAnswer,
)
from limiter.answers.box import BoxAnswer
from limiter.answers.capacity import AdviceAnswer, CapacityAnswer, StatsAnswer
from limiter.answers.deciding import ExplainAnswer, ForecastAnswer, LeaseAnswer, SizingAnswer, StateAnswer
from limiter.answers.health import Alive, HealthAnswer
from limiter.answers.history import HistoryAnswer
from limiter.answers.keys import KeyAnswer, KeyBody, KeysAnswer, NewKeyAnswer
from limiter.answers.limits import (
    ChangeAnswer,
    ChangeBody,
    ConfirmBody,
    LimitRowsAnswer,
    LimitsAnswer,
    PreviewAnswer,
    PreviewBody,
    RollbackBody,
    VersionsAnswer,
)
from limiter.answers.notes import AuditAnswer, NoteAnswer, NoteBody, NotesAnswer
from limiter.answers.parts import ClearBody, ReasonBody
from limiter.answers.plan import PlanAnswer, PlanBody
from limiter.answers.refusals import RefusalAnswer, RefusalsAnswer
from limiter.answers.sessions import (
    DrainAnswer,
    DrainBody,
    PauseAnswer,
    PublicIdsBody,
    ReapAnswer,
    SessionAnswer,
    SessionsAnswer,
    StopBody,
    StoppedAnswer,
    StopSessionsBody,
)
from limiter.answers.usage import WhoAnswer
from limiter.answers.users import OverrideBody, UsageAnswer, UserLimitsAnswer
from limiter.answers.windows import WindowsAnswer, WindowsBody
from limiter.api import (
    alerts,
    bots,
    box,
    capacity,
    deciding,
    health,
    history,
    keys,
    limits,
    metrics,
    notes,
    openapi,
    plan,
    refusals,
    sessions,
    usage,
    users,
    windows,
)
from limiter.http.call import Ask, Call
from limiter.http.wire import Answer, Body
from limiter.rules.refusals import refusing

Handler = Callable[[Call], Ask | Coroutine[Any, Any, Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: method, path, scope of the key, handler, what it answers by status, body, query, refusals."""

    method: str
    path: str
    scope: str | None
    handler: Handler
    answers: dict[int, type[msgspec.Struct] | str]
    body: type[msgspec.Struct] | None = None
    query: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    needs_body: bool = True
    reader: Body[Any] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.body is not None:
            object.__setattr__(self, "reader", Body(self.body))


@cache
def _document(version: str) -> bytes:
    return openapi.build(version, ROUTES)


async def document(call: Call) -> Answer:
    """The description of every endpoint, OpenAPI 3.1."""
    return Answer(200, _document(call.services.version))


async def console(call: Call) -> Answer:
    """To the console."""
    url = call.services.config.own_console_url.encode()
    return Answer(307, b"", headers=((b"location", url.rstrip(b"/") + b"/"),))


SESSION = ("session_unknown", "session_ended")
PAGED = ("limit", "cursor")
TAKEN_AWAY = ("format", "table")

ROUTES: tuple[Route, ...] = (
    Route("POST", "/api/bots/start", "bots", bots.start, {201: StartAnswer, 200: StartAnswer}, StartBody,
          reasons=refusing("start")),
    Route("POST", "/api/bots/heartbeat", "bots", bots.heartbeat,
          {200: HeartbeatAnswer}, HeartbeatBody, reasons=SESSION),
    Route("POST", "/api/bots/heartbeats", "bots", bots.heartbeats, {200: HeartbeatsAnswer}, HeartbeatsBody),
    Route("POST", "/api/bots/strangers", "bots", box.tell, {200: StrangersAnswer}, StrangersBody),
    Route("POST", "/api/bots/stop", "bots", bots.stop, {200: StopAnswer}, SessionBody, reasons=SESSION[:1]),
    Route("POST", "/api/bots/trades", "bots", bots.trades, {201: TradeAnswer, 200: TradeAnswer}, TradeBody,
          reasons=(*SESSION, "trade_conflict", *refusing("trade"))),
    Route("POST", "/api/bots/signals", "bots", bots.signals,
          {200: UseAnswer}, SignalsBody, reasons=(*SESSION, *refusing("signals"))),
    Route("POST", "/api/feed/tokens", "bots", bots.tokens,
          {200: UseAnswer}, TokensBody, reasons=(*SESSION, *refusing("tokens"))),
    Route("GET", "/api/limits", "any", bots.limits, {200: LimitsAnswer}, query=("user_id",)),
    Route("GET", "/api/users/{user_id}/usage", "any", bots.usage, {200: UsageAnswer}),
    Route("GET", "/api/admin/capacity", "admin:read", capacity.current, {200: CapacityAnswer}),
    Route("GET", "/api/admin/stats", "admin:read", capacity.stats, {200: StatsAnswer}),
    Route("GET", "/api/admin/health", None, health.health,
          {200: HealthAnswer, 503: HealthAnswer}, query=("fail_at",)),
    Route("GET", "/livez", None, health.livez, {200: Alive}),
    Route("GET", "/readyz", None, health.readyz, {200: Alive, 503: "application/json"}),
    Route("GET", "/openapi.json", None, document, {200: "application/json"}),
    Route("GET", "/metrics", "admin:read", metrics.metrics, {200: "application/openmetrics-text"}),
    Route("GET", "/admin", None, console, {307: "redirect"}),
    Route("GET", "/api/admin/advice", "admin:read", capacity.advice, {200: AdviceAnswer}),
    Route("GET", "/api/admin/usage", "admin:read", usage.who, {200: WhoAnswer},
          query=("days", "idle_seconds", *TAKEN_AWAY)),
    Route("GET", "/api/admin/box", "admin:read", box.box, {200: BoxAnswer}, query=TAKEN_AWAY),
    Route("GET", "/api/admin/forecast", "admin:read", deciding.forecast, {200: ForecastAnswer},
          query=("days", "format")),
    Route("GET", "/api/admin/sizing", "admin:read", deciding.sizing, {200: SizingAnswer},
          query=("refused", "users", *TAKEN_AWAY)),
    Route("GET", "/api/admin/lease-evidence", "admin:read", deciding.lease_evidence, {200: LeaseAnswer},
          query=("format",)),
    Route("GET", "/api/admin/state", "admin:read", deciding.state, {200: StateAnswer}, query=("at", "format")),
    Route("GET", "/api/admin/explain/{request_id}", "admin:read", deciding.explain,
          {200: ExplainAnswer}, query=("format",), reasons=("not_found",)),
    Route("GET", "/api/admin/history", "admin:read", history.history,
          {200: HistoryAnswer}, query=("from", "to", "step", "format")),
    Route("GET", "/api/admin/limits", "admin:read", limits.limits, {200: LimitRowsAnswer}),
    Route("PATCH", "/api/admin/limits", "admin:write", limits.change_limits, {200: ChangeAnswer}, ChangeBody,
          reasons=("version_conflict", "probation_open", "guard_held")),
    Route("POST", "/api/admin/limits/preview", "admin:read", limits.preview, {200: PreviewAnswer}, PreviewBody),
    Route("GET", "/api/admin/limits/history", "admin:read", limits.limit_history, {200: VersionsAnswer}, query=PAGED),
    Route("POST", "/api/admin/limits/rollback", "admin:write", limits.rollback, {200: ChangeAnswer}, RollbackBody,
          reasons=("not_found", "version_conflict", "probation_open", "guard_held")),
    Route("POST", "/api/admin/limits/confirm", "admin:write", limits.confirm, {200: ChangeAnswer}, ConfirmBody,
          reasons=("probation_over",)),
    Route("GET", "/api/admin/users/{user_id}/limits", "admin:read", users.user_limits, {200: UserLimitsAnswer}),
    Route("PUT", "/api/admin/users/{user_id}/limits", "admin:write", users.set_user_limits,
          {200: UserLimitsAnswer}, OverrideBody, reasons=("version_conflict",)),
    Route("DELETE", "/api/admin/users/{user_id}/limits", "admin:write", users.clear_user_limits,
          {200: UserLimitsAnswer}, ClearBody, reasons=("version_conflict",)),
    Route("GET", "/api/admin/sessions", "admin:read", sessions.sessions,
          {200: SessionsAnswer}, query=("status", "user_id", "order", *PAGED)),
    Route("POST", "/api/admin/sessions/{public_id}/stop", "admin:write", sessions.stop_session,
          {200: SessionAnswer}, StopBody, reasons=SESSION[:1]),
    Route("DELETE", "/api/admin/sessions/{public_id}/stop", "admin:write", sessions.keep_session,
          {200: SessionAnswer}, ReasonBody, reasons=SESSION[:1]),
    Route("POST", "/api/admin/sessions/stop", "admin:write", sessions.stop_sessions,
          {200: StoppedAnswer}, StopSessionsBody, reasons=SESSION[:1]),
    Route("DELETE", "/api/admin/sessions/stop", "admin:write", sessions.keep_sessions,
          {200: StoppedAnswer}, PublicIdsBody, reasons=SESSION[:1]),
    Route("POST", "/api/admin/users/{user_id}/stop", "admin:write", sessions.stop_user,
          {200: StoppedAnswer}, StopBody),
    Route("DELETE", "/api/admin/users/{user_id}/stop", "admin:write", sessions.keep_user,
          {200: StoppedAnswer}, ReasonBody),
    Route("POST", "/api/admin/sessions/reap", "admin:write", sessions.reap_sessions, {200: ReapAnswer}, ReasonBody),
    Route("GET", "/api/admin/drain", "admin:read", sessions.drain, {200: DrainAnswer}),
    Route("POST", "/api/admin/drain", "admin:write", sessions.start_drain, {200: DrainAnswer}, DrainBody),
    Route("DELETE", "/api/admin/drain", "admin:write", sessions.cancel_drain, {200: DrainAnswer}, ReasonBody),
    Route("POST", "/api/admin/pause", "admin:write", sessions.pause, {200: PauseAnswer}, ReasonBody),
    Route("POST", "/api/admin/resume", "admin:write", sessions.resume, {200: PauseAnswer}, ReasonBody),
    Route("GET", "/api/admin/refusals", "admin:read", refusals.refusals,
          {200: RefusalsAnswer}, query=("user_id", "reason", "since", *PAGED)),
    Route("GET", "/api/admin/refusals/{request_id}", "admin:read", refusals.refusal,
          {200: RefusalAnswer}, reasons=("not_found",)),
    Route("GET", "/api/admin/alerts", "admin:read", alerts.alerts, {200: AlertsAnswer}, query=("state", *PAGED)),
    Route("POST", "/api/admin/alerts/test", "admin:write", alerts.send_test, {200: AlertTestAnswer}),
    Route("POST", "/api/admin/alerts/{id}/ack", "admin:write", alerts.acknowledge, {200: AlertAnswer},
          AcknowledgeBody, reasons=("not_found",), needs_body=False),
    Route("GET", "/api/admin/notes", "admin:read", notes.notes, {200: NotesAnswer}, query=("from", "to")),
    Route("POST", "/api/admin/notes", "admin:write", notes.add_note, {201: NoteAnswer}, NoteBody),
    Route("GET", "/api/admin/audit", "admin:read", notes.audit, {200: AuditAnswer}, query=PAGED),
    Route("GET", "/api/admin/plan", "admin:read", plan.plan, {200: PlanAnswer}),
    Route("PUT", "/api/admin/plan", "admin:write", plan.set_plan, {200: PlanAnswer}, PlanBody,
          reasons=("version_conflict",)),
    Route("DELETE", "/api/admin/plan", "admin:write", plan.clear_plan,
          {200: PlanAnswer}, ClearBody, reasons=("version_conflict",), needs_body=False),
    Route("GET", "/api/admin/windows", "admin:read", windows.windows, {200: WindowsAnswer}),
    Route("PUT", "/api/admin/windows", "admin:write", windows.set_windows, {200: WindowsAnswer}, WindowsBody,
          reasons=("version_conflict",)),
    Route("DELETE", "/api/admin/windows", "admin:write", windows.clear_windows,
          {200: WindowsAnswer}, ClearBody, reasons=("version_conflict",), needs_body=False),
    Route("GET", "/api/admin/keys", "admin:write", keys.keys, {200: KeysAnswer}),
    Route("POST", "/api/admin/keys", "admin:write", keys.create_key, {201: NewKeyAnswer}, KeyBody),
    Route("DELETE", "/api/admin/keys/{id}", "admin:write", keys.revoke_key,
          {200: KeyAnswer}, reasons=("not_found",)),
    Route("GET", "/api/admin/whoami", "admin:read", keys.whoami, {200: KeyAnswer}),
)  # fmt: skip
