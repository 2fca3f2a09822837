-- A database of the original: one address may ask in several tenants, and what its rows leave open
-- has an answer. Its rows have no record in the ledger.
ALTER TABLE users DROP CONSTRAINT IF EXISTS users_email_key;

UPDATE audit_logs SET
    created_at   = coalesce(created_at, timestamp, now()),
    timestamp    = coalesce(timestamp, created_at, now()),
    request_type = coalesce(request_type, 'chat'),
    status       = coalesce(status, CASE WHEN success THEN 'success' ELSE 'error' END),
    was_blocked  = coalesce(was_blocked, false)
WHERE chain_id IS NULL
  AND (created_at IS NULL OR timestamp IS NULL OR request_type IS NULL OR status IS NULL OR was_blocked IS NULL);

CREATE INDEX IF NOT EXISTS audit_logs_unproved ON audit_logs (created_at) WHERE chain_id IS NULL;

-- What the row of a person leaves open. Of what nobody said, the answer that grants less.
UPDATE users SET
    is_active      = coalesce(is_active, false),
    is_super_admin = coalesce(is_super_admin, false),
    created_at     = coalesce(created_at, updated_at, now()),
    updated_at     = coalesce(updated_at, created_at, now())
WHERE is_active IS NULL OR is_super_admin IS NULL OR created_at IS NULL OR updated_at IS NULL;

-- An address is the same in any spelling; the original kept each as it was typed. Of rows that are one
-- person the one stays to which an administrator gave a role, else the oldest. Whoever is kept out under
-- one spelling is kept out, and two entries for a server that differ open nothing of it. Whatever names a
-- row that goes names the one that stays, also in tables that omni does not know; what that one has
-- already goes with the other.
DO $$
DECLARE
    same      RECORD;
    reference RECORD;
    place     tid;
    slack     users.slack_user_id%TYPE;
BEGIN
    FOR same IN
        SELECT id AS gone, keep FROM (
            SELECT id, first_value(id) OVER (
                PARTITION BY tenant, lower(btrim(email, E' \t\r\n')) ORDER BY role_source = 'assigned' DESC, id
            ) AS keep FROM users
        ) spelled WHERE id <> keep ORDER BY id
    LOOP
        UPDATE users SET is_active = false
        WHERE id = same.keep AND EXISTS (SELECT 1 FROM users WHERE id = same.gone AND NOT is_active);

        UPDATE user_mcp_permissions kept SET mode = 'none', allowed_tools = NULL, denied_tools = NULL
        FROM user_mcp_permissions other
        WHERE kept.user_id = same.keep AND other.user_id = same.gone AND other.mcp_name = kept.mcp_name
          AND (other.mode, other.allowed_tools, other.denied_tools)
              IS DISTINCT FROM (kept.mode, kept.allowed_tools, kept.denied_tools);

        FOR reference IN
            SELECT c.conrelid::regclass AS of_table, a.attname AS of_column
            FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
            WHERE c.contype = 'f' AND c.confrelid = 'users'::regclass AND array_length(c.conkey, 1) = 1
        LOOP
            FOR place IN EXECUTE format(
                'SELECT ctid FROM %s WHERE %I = $1', reference.of_table, reference.of_column
            ) USING same.gone
            LOOP
                BEGIN
                    EXECUTE format('UPDATE %s SET %I = $1 WHERE ctid = $2', reference.of_table, reference.of_column)
                    USING same.keep, place;
                EXCEPTION WHEN unique_violation THEN
                    EXECUTE format('DELETE FROM %s WHERE ctid = $1', reference.of_table) USING place;
                END;
            END LOOP;
        END LOOP;

        SELECT slack_user_id INTO slack FROM users WHERE id = same.gone;
        DELETE FROM users WHERE id = same.gone;
        UPDATE users SET slack_user_id = slack WHERE id = same.keep AND slack_user_id IS NULL;
    END LOOP;
END $$;

UPDATE users SET email = lower(btrim(email, E' \t\r\n')) WHERE email <> lower(btrim(email, E' \t\r\n'));

UPDATE audit_logs SET user_email = lower(btrim(user_email, E' \t\r\n'))
WHERE chain_id IS NULL AND user_email <> lower(btrim(user_email, E' \t\r\n'));

-- A key that the original gave out opens nothing; the list says whose it was.
UPDATE api_keys SET
    is_revoked = true,
    revoked_at = coalesce(revoked_at, now()),
    created_at = coalesce(created_at, now()),
    user_email = coalesce((SELECT email FROM users WHERE users.id = api_keys.user_id), '')
WHERE user_email = '';
