-- The column user_mcp_permissions.beside is added before this.
INSERT INTO schema_version (version, description) VALUES (21, 'beside') ON CONFLICT DO NOTHING;
