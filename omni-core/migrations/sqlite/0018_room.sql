-- What one person keeps is added up whenever there is more of it: from this alone.
CREATE INDEX IF NOT EXISTS results_room ON results (tenant, subject, number, bytes);
DROP INDEX IF EXISTS results_owner;

INSERT INTO schema_version (version, description) VALUES (18, 'room') ON CONFLICT DO NOTHING;
