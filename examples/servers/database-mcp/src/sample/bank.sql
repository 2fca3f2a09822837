-- A bank. `given` has the seed; hash(n) is written out as (n * 1103515245 + seed * 12345 + a number) & 2147483647.
CREATE TABLE customers (
  customer_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  country TEXT NOT NULL,
  segment TEXT NOT NULL,
  created_at TEXT NOT NULL
);
CREATE INDEX customers_email ON customers (email);

CREATE TABLE accounts (
  account_id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers,
  iban TEXT NOT NULL UNIQUE,
  currency TEXT NOT NULL,
  status TEXT NOT NULL,
  balance_cents INTEGER NOT NULL,
  opened_at TEXT NOT NULL
);

CREATE TABLE merchants (
  merchant_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  mcc TEXT NOT NULL,
  city TEXT NOT NULL
);

CREATE TABLE transactions (
  transaction_id INTEGER PRIMARY KEY,
  account_id INTEGER NOT NULL REFERENCES accounts,
  merchant_id INTEGER NOT NULL REFERENCES merchants,
  amount_cents INTEGER NOT NULL,
  currency TEXT NOT NULL,
  status TEXT NOT NULL,
  description TEXT NOT NULL,
  created_at TEXT NOT NULL
);
CREATE INDEX transactions_account ON transactions (account_id);

CREATE TABLE exchange_rates (
  currency TEXT NOT NULL,
  day TEXT NOT NULL,
  rate REAL NOT NULL,
  PRIMARY KEY (currency, day)
) WITHOUT ROWID;

INSERT INTO customers
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1500),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 11) & 2147483647 AS h FROM n, given)
SELECT n,
  (SELECT value FROM json_each('["Ada","Ben","Clara","Dan","Eva","Finn","Grete","Hugo","Ida","Jan","Kim","Lea"]') WHERE key = h / 7 % 12)
    || ' ' ||
  (SELECT value FROM json_each('["Abel","Berg","Costa","Dahl","Egger","Fuchs","Gruber","Haas","Ilic","Jansen"]') WHERE key = h / 101 % 10),
  'customer' || n || '@example.com',
  (SELECT value FROM json_each('["AT","CH","DE","FR","IT","PL"]') WHERE key = h / 13 % 6),
  (SELECT value FROM json_each('["retail","retail","retail","premium","business"]') WHERE key = h / 17 % 5),
  datetime('2019-01-01', (h / 29 % 2000) || ' days')
FROM h;

INSERT INTO accounts
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2400),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 23) & 2147483647 AS h FROM n, given)
SELECT n, 1 + h / 7 % 1500, 'AT' || printf('%018d', n * 7919),
  (SELECT value FROM json_each('["EUR","EUR","EUR","CHF","USD"]') WHERE key = h / 11 % 5),
  (SELECT value FROM json_each('["open","open","open","open","blocked","closed"]') WHERE key = h / 19 % 6),
  h / 31 % 2000000 - 50000,
  datetime('2019-06-01', (h / 37 % 1800) || ' days')
FROM h;

INSERT INTO merchants
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 250),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 37) & 2147483647 AS h FROM n, given)
SELECT n, 'Merchant ' || n, printf('%04d', 4000 + h / 7 % 60 * 50),
  (SELECT value FROM json_each('["Wien","Graz","Linz","Zürich","Berlin","Paris"]') WHERE key = h / 13 % 6)
FROM h;

INSERT INTO transactions
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 24000),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 41) & 2147483647 AS h FROM n, given)
SELECT n, 1 + h / 7 % 2400, 1 + h / 11 % 250, 100 + h / 13 % 40000,
  (SELECT value FROM json_each('["EUR","EUR","EUR","CHF","USD"]') WHERE key = h / 17 % 5),
  (SELECT value FROM json_each('["settled","settled","settled","settled","pending","failed"]') WHERE key = h / 19 % 6),
  'Payment ' || h % 100000,
  datetime('2025-01-01', (n * 20) || ' minutes')
FROM h;

INSERT INTO exchange_rates
WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 364),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 43) & 2147483647 AS h FROM n, given)
SELECT value, date('2025-01-01', n || ' days'), round(0.9 + (h / 7 % 2000) / 10000.0, 4)
FROM h, json_each('["CHF","USD"]');
