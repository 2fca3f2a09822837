-- Nobody looks for the requests of a row of `users`: people are looked for by tenant and address. Each row of a request had
-- to be entered here all the same.
DROP INDEX IF EXISTS audit_logs_user_id;

INSERT INTO schema_version (version, description) VALUES (20, 'whose') ON CONFLICT DO NOTHING;
