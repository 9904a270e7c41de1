-- The schema that step 1 makes on SQLite, as released. It never changes: see tests/store/test_migrations.py.
CREATE TABLE fleet (
    id INTEGER NOT NULL CHECK (id = 1),
    active INTEGER NOT NULL,
    next_number INTEGER NOT NULL,
    paused INTEGER NOT NULL,
    leader TEXT,
    leader_until INTEGER,
    PRIMARY KEY (id),
    CONSTRAINT fleet_active CHECK (active >= 0)
) STRICT;

CREATE TABLE journal (
    revision INTEGER NOT NULL,
    at INTEGER NOT NULL,
    changes TEXT NOT NULL,
    PRIMARY KEY (revision)
) STRICT;

CREATE TABLE active_sessions (
    number INTEGER NOT NULL,
    secret TEXT NOT NULL,
    user_id TEXT NOT NULL,
    bot_id TEXT NOT NULL,
    asked_bot TEXT,
    idempotency_key TEXT,
    started_at INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL,
    last_heartbeat_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    active INTEGER NOT NULL,
    max_bots INTEGER NOT NULL,
    user_active INTEGER NOT NULL,
    user_max INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (number)
) STRICT;

CREATE UNIQUE INDEX active_sessions_bot ON active_sessions (user_id, bot_id);

CREATE TABLE ended_sessions (
    number INTEGER NOT NULL,
    secret TEXT NOT NULL,
    user_id TEXT NOT NULL,
    bot_id TEXT NOT NULL,
    asked_bot TEXT,
    idempotency_key TEXT,
    started_at INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL,
    last_heartbeat_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    active INTEGER NOT NULL,
    max_bots INTEGER NOT NULL,
    user_active INTEGER NOT NULL,
    user_max INTEGER NOT NULL,
    version INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    ended_reason TEXT NOT NULL,
    PRIMARY KEY (number)
) STRICT;

CREATE INDEX ended_sessions_user ON ended_sessions (user_id, number);

CREATE INDEX ended_sessions_ended ON ended_sessions (ended_at);

CREATE TABLE refusals (
    id INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    user_id TEXT,
    bot_id TEXT,
    reason TEXT NOT NULL,
    limit_name TEXT,
    value INTEGER,
    count INTEGER,
    version INTEGER NOT NULL,
    active INTEGER,
    max_bots INTEGER,
    user_active INTEGER,
    user_max INTEGER,
    repeats INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT;

CREATE INDEX refusals_user ON refusals (user_id, at);

CREATE INDEX refusals_at ON refusals (at);

CREATE INDEX refusals_request ON refusals (request_id);

CREATE TABLE trades (
    id INTEGER NOT NULL,
    trade_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity TEXT NOT NULL,
    price TEXT NOT NULL,
    closes INTEGER NOT NULL,
    at INTEGER NOT NULL,
    day TEXT NOT NULL,
    PRIMARY KEY (id)
) STRICT;

CREATE INDEX trades_at ON trades (at);

CREATE UNIQUE INDEX trades_id ON trades (user_id, trade_id);

CREATE TABLE trade_days (
    day TEXT NOT NULL,
    user_id TEXT NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (day, user_id)
) WITHOUT ROWID, STRICT;

CREATE TABLE rate_seconds (
    second INTEGER NOT NULL,
    kind TEXT NOT NULL,
    user_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (second, kind, user_id)
) WITHOUT ROWID, STRICT;

CREATE TABLE limits (
    name TEXT NOT NULL,
    value REAL,
    source TEXT NOT NULL,
    configured REAL,
    configured_source TEXT NOT NULL,
    changed_at INTEGER,
    changed_by TEXT,
    PRIMARY KEY (name)
) STRICT;

CREATE TABLE limit_versions (
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    user_id TEXT,
    changed TEXT NOT NULL,
    in_force TEXT NOT NULL,
    PRIMARY KEY (version)
) STRICT;

CREATE INDEX limit_versions_at ON limit_versions (at);

CREATE TABLE overrides (
    user_id TEXT NOT NULL,
    limits TEXT NOT NULL,
    reason TEXT NOT NULL,
    until INTEGER,
    changed_at INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (user_id)
) STRICT;

CREATE TABLE snapshots (
    step INTEGER NOT NULL,
    at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    bots_min INTEGER NOT NULL,
    bots_max INTEGER NOT NULL,
    bots_sum INTEGER NOT NULL,
    suspects_max INTEGER NOT NULL,
    limit_last INTEGER NOT NULL,
    cpu_n INTEGER NOT NULL,
    cpu_sum REAL NOT NULL,
    cpu_max REAL,
    ram_n INTEGER NOT NULL,
    ram_sum REAL NOT NULL,
    ram_max REAL,
    p99_max REAL,
    tokens INTEGER NOT NULL,
    signals INTEGER NOT NULL,
    trades INTEGER NOT NULL,
    starts INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    PRIMARY KEY (step, at)
) WITHOUT ROWID, STRICT;

CREATE TABLE refusal_counts (
    step INTEGER NOT NULL,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (step, at, reason)
) WITHOUT ROWID, STRICT;

CREATE TABLE usage_hours (
    at INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    starts INTEGER NOT NULL,
    slot_ms INTEGER NOT NULL,
    trades INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    PRIMARY KEY (at, user_id)
) WITHOUT ROWID, STRICT;

CREATE TABLE incidents (
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    rank INTEGER NOT NULL,
    message TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    resolved_at INTEGER,
    peak INTEGER NOT NULL,
    peak_limit INTEGER NOT NULL,
    refusals TEXT NOT NULL,
    crossings TEXT NOT NULL,
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    acknowledged_reason TEXT,
    PRIMARY KEY (number)
) STRICT;

CREATE INDEX incidents_resolved ON incidents (resolved_at);

CREATE TABLE deliveries (
    number INTEGER NOT NULL,
    incident INTEGER,
    at INTEGER NOT NULL,
    level TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    answer TEXT,
    tried_at INTEGER,
    next_try_at INTEGER,
    PRIMARY KEY (number)
) STRICT;

CREATE INDEX deliveries_incident ON deliveries (incident);

CREATE INDEX deliveries_state ON deliveries (state, at);

CREATE TABLE plan_steps (
    at INTEGER NOT NULL,
    max_bots INTEGER NOT NULL,
    status TEXT NOT NULL,
    applied_at INTEGER,
    held_by TEXT,
    PRIMARY KEY (at)
) STRICT;

CREATE TABLE keys (
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    PRIMARY KEY (id)
) STRICT;

CREATE TABLE audit (
    id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (id)
) STRICT;

CREATE INDEX audit_at ON audit (at);

CREATE TABLE notes (
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    text TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT;

CREATE INDEX notes_at ON notes (at);

CREATE TABLE migrations (
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (step)
) STRICT;

CREATE VIEW sessions AS SELECT number, secret, user_id, bot_id, asked_bot, idempotency_key, started_at, lease_ms, last_heartbeat_at, expires_at, active, max_bots, user_active, user_max, version, NULL AS ended_at, NULL AS ended_reason FROM active_sessions UNION ALL SELECT number, secret, user_id, bot_id, asked_bot, idempotency_key, started_at, lease_ms, last_heartbeat_at, expires_at, active, max_bots, user_active, user_max, version, ended_at, ended_reason FROM ended_sessions;

INSERT INTO fleet (id, active, next_number, paused) VALUES (1, 0, 1, 0);

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;

CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
