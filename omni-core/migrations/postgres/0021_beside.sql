-- What an entry of `allowed_mcps` says of prompts and resources: the keys of `users.yaml` as a JSON object.
ALTER TABLE user_mcp_permissions ADD COLUMN IF NOT EXISTS beside JSONB NOT NULL DEFAULT '{}';

INSERT INTO schema_version (version, description) VALUES (21, 'beside') ON CONFLICT DO NOTHING;
