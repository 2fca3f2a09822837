-- Rows that were there before there was a column for it say which costs are estimated, as their records do.
UPDATE audit_logs SET cost_is_estimated = 1
WHERE request_type = 'chat' AND EXISTS (
    SELECT 1 FROM ledger l
    WHERE l.chain_id = audit_logs.chain_id AND l.seq = audit_logs.seq
      AND instr(l.bytes, CAST('],"usage":{' AS BLOB)) > 0
      AND instr(substr(l.bytes, instr(l.bytes, CAST('],"usage":{' AS BLOB))), CAST('"estimated":true' AS BLOB)) > 0
);

INSERT INTO schema_version (version, description) VALUES (25, 'reckoned') ON CONFLICT DO NOTHING;
