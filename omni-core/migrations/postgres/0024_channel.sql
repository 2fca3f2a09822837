-- The channel of the conversation that a result was asked for in: conversations of different channels may have one name. Of
-- what earlier builds kept it is not known.
ALTER TABLE results ADD COLUMN IF NOT EXISTS channel TEXT;

INSERT INTO schema_version (version, description) VALUES (24, 'channel') ON CONFLICT DO NOTHING;
