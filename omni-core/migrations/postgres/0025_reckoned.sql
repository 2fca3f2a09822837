-- Rows that were there before there was a column for it say which costs are estimated, as their records do. A step of its own:
-- in one with the column others could not even read meanwhile.
UPDATE audit_logs SET cost_is_estimated = TRUE
FROM ledger l
WHERE audit_logs.request_type = 'chat' AND l.chain_id = audit_logs.chain_id AND l.seq = audit_logs.seq
  AND position('],"usage":{'::bytea IN l.bytes) > 0
  AND position('"estimated":true'::bytea IN substring(l.bytes FROM position('],"usage":{'::bytea IN l.bytes))) > 0;

INSERT INTO schema_version (version, description) VALUES (25, 'reckoned') ON CONFLICT DO NOTHING;
