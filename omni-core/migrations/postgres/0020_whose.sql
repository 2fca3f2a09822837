-- The index of `user_id` stays: the original's own queries may look there by it.
INSERT INTO schema_version (version, description) VALUES (20, 'whose') ON CONFLICT DO NOTHING;
