CREATE INDEX IF NOT EXISTS audit_logs_unproved ON audit_logs (created_at) WHERE chain_id IS NULL;
