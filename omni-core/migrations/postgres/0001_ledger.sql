-- The truth: sealed records, append-only.
CREATE TABLE IF NOT EXISTS ledger (
    chain_id TEXT        NOT NULL,
    seq      BIGINT      NOT NULL CHECK (seq >= 0),
    at       TIMESTAMPTZ NOT NULL,
    bytes    BYTEA       NOT NULL,
    mac      BYTEA       NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (chain_id, seq)
);
