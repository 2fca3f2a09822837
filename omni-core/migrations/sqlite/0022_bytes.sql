-- Addresses are compared by their bytes anyway.
INSERT INTO schema_version (version, description) VALUES (22, 'bytes') ON CONFLICT DO NOTHING;
