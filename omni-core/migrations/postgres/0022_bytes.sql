-- People are listed by the bytes of their addresses, in every language of a database the same.
CREATE INDEX IF NOT EXISTS users_tenant_email_bytes ON users (tenant, email COLLATE "C");

INSERT INTO schema_version (version, description) VALUES (22, 'bytes') ON CONFLICT DO NOTHING;
