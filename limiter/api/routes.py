"""ROUTES: every endpoint, declared. The server dispatches by it, and the OpenAPI document is built from it.

Scope None: no key is ever looked at. Scope "any": `bots` or `admin:read`.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

from limiter.api import admin, alerts, bots, monitor, openapi, plan
from limiter.api import schemas as s
from limiter.api.call import Ask, Call
from limiter.api.wire import Answer, Body
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


SESSION = ("session_unknown", "session_ended")
PAGED = ("limit", "cursor")

ROUTES: tuple[Route, ...] = (
    Route("POST", "/api/bots/start", "bots", bots.start, {201: s.StartAnswer, 200: s.StartAnswer}, s.StartBody,
          reasons=refusing("start")),
    Route("POST", "/api/bots/heartbeat", "bots", bots.heartbeat,
          {200: s.HeartbeatAnswer}, s.HeartbeatBody, reasons=SESSION),
    Route("POST", "/api/bots/heartbeats", "bots", bots.heartbeats, {200: s.HeartbeatsAnswer}, s.HeartbeatsBody),
    Route("POST", "/api/bots/stop", "bots", bots.stop, {200: s.StopAnswer}, s.SessionBody, reasons=SESSION[:1]),
    Route("POST", "/api/bots/trades", "bots", bots.trades, {201: s.TradeAnswer, 200: s.TradeAnswer}, s.TradeBody,
          reasons=(*SESSION, "trade_conflict", *refusing("trade"))),
    Route("POST", "/api/bots/signals", "bots", bots.signals,
          {200: s.UseAnswer}, s.SignalsBody, reasons=(*SESSION, *refusing("signals"))),
    Route("POST", "/api/feed/tokens", "bots", bots.tokens,
          {200: s.UseAnswer}, s.TokensBody, reasons=refusing("tokens")),
    Route("GET", "/api/limits", "any", bots.limits, {200: s.LimitsAnswer}, query=("user_id",)),
    Route("GET", "/api/users/{user_id}/usage", "any", bots.usage, {200: s.UsageAnswer}),
    Route("GET", "/api/admin/capacity", "admin:read", monitor.current, {200: s.CapacityAnswer}),
    Route("GET", "/api/admin/stats", "admin:read", monitor.stats, {200: s.StatsAnswer}),
    Route("GET", "/api/admin/health", None, monitor.health,
          {200: s.HealthAnswer, 503: s.HealthAnswer}, query=("fail_at",)),
    Route("GET", "/livez", None, monitor.livez, {200: s.Alive}),
    Route("GET", "/readyz", None, monitor.readyz, {200: s.Alive, 503: "application/json"}),
    Route("GET", "/openapi.json", None, document, {200: "application/json"}),
    Route("GET", "/metrics", "admin:read", monitor.metrics, {200: "application/openmetrics-text"}),
    Route("GET", "/admin", None, monitor.console, {307: "redirect"}),
    Route("GET", "/api/admin/advice", "admin:read", monitor.advice, {200: s.AdviceAnswer}),
    Route("GET", "/api/admin/history", "admin:read", monitor.history,
          {200: s.HistoryAnswer}, query=("from", "to", "step", "format")),
    Route("GET", "/api/admin/limits", "admin:read", admin.limits, {200: s.LimitRowsAnswer}),
    Route("PATCH", "/api/admin/limits", "admin:write", admin.change_limits, {200: s.ChangeAnswer}, s.ChangeBody,
          reasons=("version_conflict", "guard_held")),
    Route("POST", "/api/admin/limits/preview", "admin:read", admin.preview, {200: s.PreviewAnswer}, s.PreviewBody),
    Route("GET", "/api/admin/limits/history", "admin:read", admin.limit_history, {200: s.VersionsAnswer}, query=PAGED),
    Route("POST", "/api/admin/limits/rollback", "admin:write", admin.rollback, {200: s.ChangeAnswer}, s.RollbackBody,
          reasons=("not_found", "guard_held")),
    Route("GET", "/api/admin/users/{user_id}/limits", "admin:read", admin.user_limits, {200: s.UserLimitsAnswer}),
    Route("PUT", "/api/admin/users/{user_id}/limits", "admin:write", admin.set_user_limits,
          {200: s.UserLimitsAnswer}, s.OverrideBody),
    Route("DELETE", "/api/admin/users/{user_id}/limits", "admin:write", admin.clear_user_limits,
          {200: s.UserLimitsAnswer}, s.ReasonBody),
    Route("GET", "/api/admin/sessions", "admin:read", admin.sessions,
          {200: s.SessionsAnswer}, query=("status", "user_id", *PAGED)),
    Route("POST", "/api/admin/sessions/{public_id}/stop", "admin:write", admin.stop_session,
          {200: s.SessionAnswer}, s.ReasonBody,
          reasons=("session_unknown",)),
    Route("POST", "/api/admin/sessions/reap", "admin:write", admin.reap_sessions, {200: s.ReapAnswer}, s.ReasonBody),
    Route("POST", "/api/admin/pause", "admin:write", admin.pause, {200: s.PauseAnswer}, s.ReasonBody),
    Route("POST", "/api/admin/resume", "admin:write", admin.resume, {200: s.PauseAnswer}, s.ReasonBody),
    Route("GET", "/api/admin/refusals", "admin:read", admin.refusals,
          {200: s.RefusalsAnswer}, query=("user_id", "reason", "since", *PAGED)),
    Route("GET", "/api/admin/refusals/{request_id}", "admin:read", admin.refusal,
          {200: s.RefusalAnswer}, reasons=("not_found",)),
    Route("GET", "/api/admin/alerts", "admin:read", alerts.alerts, {200: s.AlertsAnswer}, query=("state", *PAGED)),
    Route("POST", "/api/admin/alerts/test", "admin:write", alerts.send_test, {200: s.AlertTestAnswer}),
    Route("POST", "/api/admin/alerts/{id}/ack", "admin:write", alerts.acknowledge, {200: s.AlertAnswer},
          s.AcknowledgeBody, reasons=("not_found",), needs_body=False),
    Route("GET", "/api/admin/notes", "admin:read", admin.notes, {200: s.NotesAnswer}, query=("from", "to")),
    Route("POST", "/api/admin/notes", "admin:write", admin.add_note, {201: s.NoteAnswer}, s.NoteBody),
    Route("GET", "/api/admin/audit", "admin:read", admin.audit, {200: s.AuditAnswer}, query=PAGED),
    Route("GET", "/api/admin/plan", "admin:read", plan.plan, {200: s.PlanAnswer}),
    Route("PUT", "/api/admin/plan", "admin:write", plan.set_plan, {200: s.PlanAnswer}, s.PlanBody),
    Route("DELETE", "/api/admin/plan", "admin:write", plan.clear_plan,
          {200: s.PlanAnswer}, s.ReasonBody, needs_body=False),
    Route("GET", "/api/admin/keys", "admin:write", admin.keys, {200: s.KeysAnswer}),
    Route("POST", "/api/admin/keys", "admin:write", admin.create_key, {201: s.NewKeyAnswer}, s.KeyBody),
    Route("DELETE", "/api/admin/keys/{id}", "admin:write", admin.revoke_key,
          {200: s.KeyAnswer}, reasons=("not_found",)),
    Route("GET", "/api/admin/whoami", "admin:read", admin.whoami, {200: s.KeyAnswer}),
)  # fmt: skip
