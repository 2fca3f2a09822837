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
