-- The schema that step 1 makes on PostgreSQL, as released. It never changes: see tests/store/test_migrations.py.
CREATE TABLE fleet (
    id BIGINT NOT NULL CHECK (id = 1),
    active BIGINT NOT NULL,
    next_number BIGINT NOT NULL,
    paused BIGINT NOT NULL,
    leader TEXT,
    leader_until BIGINT,
    PRIMARY KEY (id),
    CONSTRAINT fleet_active CHECK (active >= 0)
);

CREATE TABLE journal (
    revision BIGINT NOT NULL,
    at BIGINT NOT NULL,
    changes TEXT NOT NULL,
    PRIMARY KEY (revision)
);

CREATE TABLE active_sessions (
    number BIGINT NOT NULL,
    secret TEXT NOT NULL,
    user_id TEXT NOT NULL,
    bot_id TEXT NOT NULL,
    asked_bot TEXT,
    idempotency_key TEXT,
    started_at BIGINT NOT NULL,
    lease_ms BIGINT NOT NULL,
    last_heartbeat_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    active BIGINT NOT NULL,
    max_bots BIGINT NOT NULL,
    user_active BIGINT NOT NULL,
    user_max BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (number)
);

CREATE UNIQUE INDEX active_sessions_bot ON active_sessions (user_id, bot_id);

CREATE TABLE ended_sessions (
    number BIGINT NOT NULL,
    secret TEXT NOT NULL,
    user_id TEXT NOT NULL,
    bot_id TEXT NOT NULL,
    asked_bot TEXT,
    idempotency_key TEXT,
    started_at BIGINT NOT NULL,
    lease_ms BIGINT NOT NULL,
    last_heartbeat_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    active BIGINT NOT NULL,
    max_bots BIGINT NOT NULL,
    user_active BIGINT NOT NULL,
    user_max BIGINT NOT NULL,
    version BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    ended_reason TEXT NOT NULL,
    PRIMARY KEY (number)
);

CREATE INDEX ended_sessions_ended ON ended_sessions (ended_at);

CREATE INDEX ended_sessions_user ON ended_sessions (user_id, number);

CREATE TABLE refusals (
    id BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    user_id TEXT,
    bot_id TEXT,
    reason TEXT NOT NULL,
    limit_name TEXT,
    value BIGINT,
    count BIGINT,
    version BIGINT NOT NULL,
    active BIGINT,
    max_bots BIGINT,
    user_active BIGINT,
    user_max BIGINT,
    repeats BIGINT NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX refusals_request ON refusals (request_id);

CREATE INDEX refusals_at ON refusals (at);

CREATE INDEX refusals_user ON refusals (user_id, at);

CREATE TABLE trades (
    id BIGSERIAL NOT NULL,
    trade_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity TEXT NOT NULL,
    price TEXT NOT NULL,
    closes BIGINT NOT NULL,
    at BIGINT NOT NULL,
    day TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX trades_at ON trades (at);

CREATE UNIQUE INDEX trades_id ON trades (user_id, trade_id);

CREATE TABLE trade_days (
    day TEXT NOT NULL,
    user_id TEXT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (day, user_id)
);

CREATE TABLE rate_seconds (
    second BIGINT NOT NULL,
    kind TEXT NOT NULL,
    user_id TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (second, kind, user_id)
);

CREATE TABLE limits (
    name TEXT NOT NULL,
    value DOUBLE PRECISION,
    source TEXT NOT NULL,
    configured DOUBLE PRECISION,
    configured_source TEXT NOT NULL,
    changed_at BIGINT,
    changed_by TEXT,
    PRIMARY KEY (name)
);

CREATE TABLE limit_versions (
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    user_id TEXT,
    changed TEXT NOT NULL,
    in_force TEXT NOT NULL,
    PRIMARY KEY (version)
);

CREATE INDEX limit_versions_at ON limit_versions (at);

CREATE TABLE overrides (
    user_id TEXT NOT NULL,
    limits TEXT NOT NULL,
    reason TEXT NOT NULL,
    until BIGINT,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (user_id)
);

CREATE TABLE snapshots (
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    n BIGINT NOT NULL,
    bots_min BIGINT NOT NULL,
    bots_max BIGINT NOT NULL,
    bots_sum BIGINT NOT NULL,
    suspects_max BIGINT NOT NULL,
    limit_last BIGINT NOT NULL,
    cpu_n BIGINT NOT NULL,
    cpu_sum DOUBLE PRECISION NOT NULL,
    cpu_max DOUBLE PRECISION,
    ram_n BIGINT NOT NULL,
    ram_sum DOUBLE PRECISION NOT NULL,
    ram_max DOUBLE PRECISION,
    p99_max DOUBLE PRECISION,
    tokens BIGINT NOT NULL,
    signals BIGINT NOT NULL,
    trades BIGINT NOT NULL,
    starts BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    PRIMARY KEY (step, at)
);

CREATE TABLE refusal_counts (
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (step, at, reason)
);

CREATE TABLE usage_hours (
    at BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    starts BIGINT NOT NULL,
    slot_ms BIGINT NOT NULL,
    trades BIGINT NOT NULL,
    refusals BIGINT NOT NULL,
    PRIMARY KEY (at, user_id)
);

CREATE TABLE incidents (
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    rank BIGINT NOT NULL,
    message TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    resolved_at BIGINT,
    peak BIGINT NOT NULL,
    peak_limit BIGINT NOT NULL,
    refusals TEXT NOT NULL,
    crossings TEXT NOT NULL,
    acknowledged_at BIGINT,
    acknowledged_by TEXT,
    acknowledged_reason TEXT,
    PRIMARY KEY (number)
);

CREATE INDEX incidents_resolved ON incidents (resolved_at);

CREATE TABLE deliveries (
    number BIGINT NOT NULL,
    incident BIGINT,
    at BIGINT NOT NULL,
    level TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    tries BIGINT NOT NULL,
    answer TEXT,
    tried_at BIGINT,
    next_try_at BIGINT,
    PRIMARY KEY (number)
);

CREATE INDEX deliveries_incident ON deliveries (incident);

CREATE INDEX deliveries_state ON deliveries (state, at);

CREATE TABLE plan_steps (
    at BIGINT NOT NULL,
    max_bots BIGINT NOT NULL,
    status TEXT NOT NULL,
    applied_at BIGINT,
    held_by TEXT,
    PRIMARY KEY (at)
);

CREATE TABLE keys (
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (id)
);

CREATE TABLE audit (
    id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX audit_at ON audit (at);

CREATE TABLE notes (
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    text TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX notes_at ON notes (at);

CREATE TABLE migrations (
    step BIGINT NOT NULL,
    name TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (step)
);

CREATE VIEW sessions AS SELECT number, secret, user_id, bot_id, asked_bot, idempotency_key, started_at, lease_ms, last_heartbeat_at, expires_at, active, max_bots, user_active, user_max, version, NULL AS ended_at, NULL AS ended_reason FROM active_sessions UNION ALL SELECT number, secret, user_id, bot_id, asked_bot, idempotency_key, started_at, lease_ms, last_heartbeat_at, expires_at, active, max_bots, user_active, user_max, version, ended_at, ended_reason FROM ended_sessions;

INSERT INTO fleet (id, active, next_number, paused) VALUES (1, 0, 1, 0);

CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit only grows'; END $$;

CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
