-- The column confirmations.recorded_at is added before this.
INSERT INTO schema_version (version, description) VALUES (14, 'decisions') ON CONFLICT DO NOTHING;
