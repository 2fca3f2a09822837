-- Whether part of tokens and cost is reckoned and not the vendor's word.
ALTER TABLE audit_logs ADD COLUMN IF NOT EXISTS cost_is_estimated BOOLEAN NOT NULL DEFAULT FALSE;

-- A build that does not know the column writes none into it: the record, which is there before its row, says it then. Of an
-- ask's record the tokens of all turns come behind a list, and no text in it can hold quotes as they stand here.
ALTER TABLE audit_logs ALTER COLUMN cost_is_estimated DROP DEFAULT;

CREATE OR REPLACE FUNCTION audit_logs_estimated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.cost_is_estimated := EXISTS (
        SELECT 1 FROM ledger l
        WHERE NEW.request_type = 'chat' AND l.chain_id = NEW.chain_id AND l.seq = NEW.seq
          AND position('],"usage":{'::bytea IN l.bytes) > 0
          AND position('"estimated":true'::bytea IN substring(l.bytes FROM position('],"usage":{'::bytea IN l.bytes))) > 0
    );
    RETURN NEW;
END $$;

DROP TRIGGER IF EXISTS audit_logs_estimated ON audit_logs;
CREATE TRIGGER audit_logs_estimated BEFORE INSERT ON audit_logs
    FOR EACH ROW WHEN (NEW.cost_is_estimated IS NULL) EXECUTE FUNCTION audit_logs_estimated();

INSERT INTO schema_version (version, description) VALUES (23, 'estimated') ON CONFLICT DO NOTHING;
