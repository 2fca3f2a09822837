-- The column audit_logs.cost_is_estimated is added before this. A build that does not know it writes none into it: the record,
-- which is there before its row, says it then. Of an ask's record the tokens of all turns come behind a list, and no text in it
-- can hold quotes as they stand here.
CREATE TRIGGER IF NOT EXISTS audit_logs_estimated AFTER INSERT ON audit_logs
WHEN NEW.request_type = 'chat' AND NEW.cost_is_estimated = 0 AND EXISTS (
    SELECT 1 FROM ledger l
    WHERE l.chain_id = NEW.chain_id AND l.seq = NEW.seq
      AND instr(l.bytes, CAST('],"usage":{' AS BLOB)) > 0
      AND instr(substr(l.bytes, instr(l.bytes, CAST('],"usage":{' AS BLOB))), CAST('"estimated":true' AS BLOB)) > 0
)
BEGIN
    UPDATE audit_logs SET cost_is_estimated = 1 WHERE id = NEW.id;
END;

INSERT INTO schema_version (version, description) VALUES (23, 'estimated') ON CONFLICT DO NOTHING;
