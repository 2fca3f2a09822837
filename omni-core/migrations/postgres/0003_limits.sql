-- What is counted. A row is locked by whoever takes from its count.
CREATE TABLE IF NOT EXISTS limit_counts (
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    kind   TEXT NOT NULL,
    -- Of a budget: what is spent in the period that ends then.
    amount BIGINT NOT NULL,
    ends   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant, name, kind)
);

-- What was taken from windows and leases, until it counts no more.
CREATE TABLE IF NOT EXISTS limit_entries (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      TEXT NOT NULL,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    reservation TEXT NOT NULL,
    amount      BIGINT NOT NULL,
    ends        TIMESTAMPTZ NOT NULL
);
CREATE INDEX IF NOT EXISTS limit_entries_count ON limit_entries (tenant, name, kind, ends);
CREATE INDEX IF NOT EXISTS limit_entries_reservation ON limit_entries (reservation);
CREATE INDEX IF NOT EXISTS limit_entries_ends ON limit_entries (ends);

-- Reservations that are not settled, with what they took.
CREATE TABLE IF NOT EXISTS limit_reservations (
    id      TEXT NOT NULL PRIMARY KEY,
    charges JSONB NOT NULL,
    ttl_ms  BIGINT NOT NULL,
    ends    TIMESTAMPTZ NOT NULL
);
CREATE INDEX IF NOT EXISTS limit_reservations_ends ON limit_reservations (ends);
