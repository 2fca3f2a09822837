-- The index of `timestamp` stays: what was made for the original's tables may look for that here.
INSERT INTO schema_version (version, description) VALUES (19, 'once') ON CONFLICT DO NOTHING;
