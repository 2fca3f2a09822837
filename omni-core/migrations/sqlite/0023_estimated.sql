-- The column audit_logs.cost_is_estimated is added before this. Rows that are there already say what their records say. Of an
-- ask's record the tokens of all turns come behind a list, and no text in it can hold quotes as they stand here.
UPDATE audit_logs SET cost_is_estimated = 1
WHERE request_type = 'chat' AND EXISTS (
    SELECT 1 FROM ledger l
    WHERE l.chain_id = audit_logs.chain_id AND l.seq = audit_logs.seq
      AND instr(l.bytes, CAST('],"usage":{' AS BLOB)) > 0
      AND instr(substr(l.bytes, instr(l.bytes, CAST('],"usage":{' AS BLOB))), CAST('"estimated":true' AS BLOB)) > 0
);

INSERT INTO schema_version (version, description) VALUES (23, 'estimated') ON CONFLICT DO NOTHING;
