-- Whether part of tokens and cost is reckoned and not the vendor's word.
ALTER TABLE audit_logs ADD COLUMN IF NOT EXISTS cost_is_estimated BOOLEAN NOT NULL DEFAULT FALSE;

-- Rows that are there already say what their records say. Of an ask's record the tokens of all turns come behind a list, and
-- no text in it can hold quotes as they stand here.
UPDATE audit_logs SET cost_is_estimated = TRUE
FROM ledger l
WHERE audit_logs.request_type = 'chat' AND l.chain_id = audit_logs.chain_id AND l.seq = audit_logs.seq
  AND position('],"usage":{'::bytea IN l.bytes) > 0
  AND position('"estimated":true'::bytea IN substring(l.bytes FROM position('],"usage":{'::bytea IN l.bytes))) > 0;

INSERT INTO schema_version (version, description) VALUES (23, 'estimated') ON CONFLICT DO NOTHING;
