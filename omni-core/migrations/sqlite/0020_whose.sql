-- omni looks for somebody's requests by tenant and address, and each row of a request had to be entered here all the same.
-- What is left takes longer without it, and is done by hand if at all: the view `v_user_activity`, which looks through all
-- requests anyway, and removing a row of `users`. The original, whose queries may look here by it, knew nothing of SQLite.
DROP INDEX IF EXISTS audit_logs_user_id;

INSERT INTO schema_version (version, description) VALUES (20, 'whose') ON CONFLICT DO NOTHING;
