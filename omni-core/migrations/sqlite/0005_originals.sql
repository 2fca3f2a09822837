-- No database of the original is SQLite: every address here is omni's own spelling already.
CREATE INDEX IF NOT EXISTS audit_logs_unproved ON audit_logs (created_at) WHERE chain_id IS NULL;
