-- When the ledger had the decision on a call: whoever goes on with its run writes it down first where it is missing.
ALTER TABLE confirmations ADD COLUMN IF NOT EXISTS recorded_at TIMESTAMPTZ;

INSERT INTO schema_version (version, description) VALUES (14, 'decisions') ON CONFLICT DO NOTHING;
