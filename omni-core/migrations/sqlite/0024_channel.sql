-- The column results.channel is added before this.
INSERT INTO schema_version (version, description) VALUES (24, 'channel') ON CONFLICT DO NOTHING;
