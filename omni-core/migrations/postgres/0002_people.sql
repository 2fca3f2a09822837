-- What `users.yaml` holds, in tables, and the keys of the HTTP doors. Names and types are the
-- original's, and a database of the original is taken over: what is missing there is added.

-- The rest of a person whom an administrator gave a role: `users.yaml`'s keys as a JSON object.
CREATE TABLE IF NOT EXISTS user_access (
    user_id  INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    settings JSONB   NOT NULL DEFAULT '{}'
);

-- `allowed_mcps`: no row is every server as the role says.
CREATE TABLE IF NOT EXISTS user_mcp_permissions (
    id            SERIAL       PRIMARY KEY,
    user_id       INTEGER      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mcp_name      VARCHAR(255) NOT NULL,
    mode          VARCHAR(20)  NOT NULL DEFAULT 'inherit',
    allowed_tools TEXT[],
    denied_tools  TEXT[],
    UNIQUE (user_id, mcp_name)
);

CREATE TABLE IF NOT EXISTS user_teams (
    id         SERIAL       PRIMARY KEY,
    user_id    INTEGER      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    team_name  VARCHAR(100) NOT NULL,
    created_at TIMESTAMPTZ  NOT NULL DEFAULT now(),
    UNIQUE (user_id, team_name)
);

-- Who may not use omni, and what they read.
CREATE TABLE IF NOT EXISTS user_blocks (
    tenant     TEXT         NOT NULL DEFAULT 'default',
    email      VARCHAR(255) NOT NULL,
    message    TEXT,
    blocked_by TEXT,
    blocked_at TIMESTAMPTZ  NOT NULL,
    PRIMARY KEY (tenant, email)
);

CREATE TABLE IF NOT EXISTS roles (
    name         VARCHAR(50) PRIMARY KEY,
    display_name VARCHAR(255),
    permissions  JSONB       NOT NULL DEFAULT '{}',
    rate_limit   JSONB       NOT NULL DEFAULT '{}',
    updated_at   TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- What has no column: `denied_tools`, `models`, `argument_rules`.
ALTER TABLE roles ADD COLUMN IF NOT EXISTS settings JSONB NOT NULL DEFAULT '{}';

CREATE TABLE IF NOT EXISTS teams (
    name             VARCHAR(100) PRIMARY KEY,
    display_name     VARCHAR(255),
    description      TEXT,
    slack_channel    VARCHAR(100),
    notify_on_errors BOOLEAN
);

-- One row.
CREATE TABLE IF NOT EXISTS user_settings (
    id                INTEGER PRIMARY KEY,
    default_user      JSONB,
    auto_provisioning JSONB
);

-- One row; grows by one with every change of the tables above.
CREATE TABLE IF NOT EXISTS policy_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version BIGINT  NOT NULL
);

INSERT INTO policy_version (id, version) VALUES (1, 1) ON CONFLICT (id) DO NOTHING;

-- A key is kept as its SHA-256; `key_prefix` finds it.
CREATE TABLE IF NOT EXISTS api_keys (
    id          SERIAL       PRIMARY KEY,
    user_id     INTEGER      REFERENCES users (id) ON DELETE SET NULL,
    key_hash    VARCHAR(255) NOT NULL UNIQUE,
    key_prefix  VARCHAR(10)  NOT NULL,
    name        VARCHAR(255),
    scopes      TEXT[],
    is_revoked  BOOLEAN      NOT NULL DEFAULT false,
    revoked_at  TIMESTAMPTZ,
    last_used   TIMESTAMPTZ,
    usage_count INTEGER      NOT NULL DEFAULT 0,
    expires_at  TIMESTAMPTZ,
    created_at  TIMESTAMPTZ  NOT NULL DEFAULT now()
);

ALTER TABLE api_keys ALTER COLUMN user_id DROP NOT NULL;
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS tenant TEXT NOT NULL DEFAULT 'default';
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS user_email VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS act_as TEXT[];
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS ceiling_role VARCHAR(50);
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS revoked_by_email TEXT;
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS created_by TEXT;

CREATE INDEX IF NOT EXISTS api_keys_prefix ON api_keys (key_prefix);
CREATE INDEX IF NOT EXISTS api_keys_owner ON api_keys (tenant, user_email);
