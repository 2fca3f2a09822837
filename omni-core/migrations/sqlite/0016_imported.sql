-- No database of the original is SQLite: every row here has its own id and preview already.
INSERT INTO schema_version (version, description) VALUES (16, 'imported') ON CONFLICT DO NOTHING;
