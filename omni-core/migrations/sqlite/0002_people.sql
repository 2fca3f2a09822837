-- What `users.yaml` holds, in tables, and the keys of the HTTP doors.

-- The rest of a person whom an administrator gave a role: `users.yaml`'s keys as a JSON object.
CREATE TABLE IF NOT EXISTS user_access (
    user_id  INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    settings TEXT    NOT NULL DEFAULT '{}'
);

-- `allowed_mcps`: no row is every server as the role says.
CREATE TABLE IF NOT EXISTS user_mcp_permissions (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mcp_name      TEXT    NOT NULL,
    mode          TEXT    NOT NULL DEFAULT 'inherit' CHECK (mode IN ('inherit', 'custom', 'all', 'none')),
    allowed_tools TEXT    NOT NULL DEFAULT '[]',
    denied_tools  TEXT    NOT NULL DEFAULT '[]',
    UNIQUE (user_id, mcp_name)
);

CREATE TABLE IF NOT EXISTS user_teams (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    team_name  TEXT    NOT NULL,
    created_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')),
    UNIQUE (user_id, team_name)
);

-- Who may not use omni, and what they read.
CREATE TABLE IF NOT EXISTS user_blocks (
    tenant     TEXT NOT NULL DEFAULT 'default',
    email      TEXT NOT NULL,
    message    TEXT,
    blocked_by TEXT,
    blocked_at TEXT NOT NULL,
    PRIMARY KEY (tenant, email)
);

-- `settings` holds what has no column: `denied_tools`, `models`, `argument_rules`.
CREATE TABLE IF NOT EXISTS roles (
    name         TEXT PRIMARY KEY,
    display_name TEXT,
    permissions  TEXT NOT NULL DEFAULT '{}',
    rate_limit   TEXT NOT NULL DEFAULT '{}',
    settings     TEXT NOT NULL DEFAULT '{}',
    updated_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now'))
);

CREATE TABLE IF NOT EXISTS teams (
    name             TEXT PRIMARY KEY,
    display_name     TEXT,
    description      TEXT,
    slack_channel    TEXT,
    notify_on_errors INTEGER
);

-- One row.
CREATE TABLE IF NOT EXISTS user_settings (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    default_user      TEXT,
    auto_provisioning TEXT
);

-- One row; grows by one with every change of the tables above.
CREATE TABLE IF NOT EXISTS policy_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
);

INSERT INTO policy_version (id, version) VALUES (1, 1) ON CONFLICT (id) DO NOTHING;

-- A key is kept as its SHA-256; `key_prefix` finds it.
CREATE TABLE IF NOT EXISTS api_keys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id      INTEGER REFERENCES users (id) ON DELETE SET NULL,
    tenant       TEXT    NOT NULL DEFAULT 'default',
    user_email   TEXT    NOT NULL,
    key_hash     TEXT    NOT NULL UNIQUE,
    key_prefix   TEXT    NOT NULL,
    name         TEXT,
    scopes       TEXT    NOT NULL DEFAULT '[]',
    act_as       TEXT    NOT NULL DEFAULT '[]',
    ceiling_role TEXT,
    is_revoked   INTEGER NOT NULL DEFAULT 0,
    revoked_at   TEXT,
    revoked_by_email TEXT,
    last_used    TEXT,
    usage_count  INTEGER NOT NULL DEFAULT 0,
    expires_at   TEXT,
    created_by   TEXT,
    created_at   TEXT    NOT NULL
);

CREATE INDEX IF NOT EXISTS api_keys_prefix ON api_keys (key_prefix);
CREATE INDEX IF NOT EXISTS api_keys_owner ON api_keys (tenant, user_email);
