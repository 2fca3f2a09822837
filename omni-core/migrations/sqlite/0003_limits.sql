-- What is counted. A row is locked by whoever takes from its count.
CREATE TABLE IF NOT EXISTS limit_counts (
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    kind   TEXT NOT NULL,
    -- Of a budget: what is spent in the period that ends then.
    amount INTEGER NOT NULL,
    ends   TEXT NOT NULL,
    PRIMARY KEY (tenant, name, kind)
);

-- What was taken from windows and leases, until it counts no more.
CREATE TABLE IF NOT EXISTS limit_entries (
    id          INTEGER PRIMARY KEY,
    tenant      TEXT NOT NULL,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    reservation TEXT NOT NULL,
    amount      INTEGER NOT NULL,
    ends        TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS limit_entries_count ON limit_entries (tenant, name, kind, ends);
CREATE INDEX IF NOT EXISTS limit_entries_reservation ON limit_entries (reservation);
CREATE INDEX IF NOT EXISTS limit_entries_ends ON limit_entries (ends);

-- Reservations that are not settled, with what they took.
CREATE TABLE IF NOT EXISTS limit_reservations (
    id      TEXT NOT NULL PRIMARY KEY,
    charges TEXT NOT NULL,
    ttl_ms  INTEGER NOT NULL,
    ends    TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS limit_reservations_ends ON limit_reservations (ends);
