-- A card processor, as `bank.sql` is written.
CREATE TABLE client (
  id INTEGER PRIMARY KEY,
  client_number TEXT NOT NULL,
  last_name TEXT NOT NULL,
  city TEXT NOT NULL,
  date_open TEXT NOT NULL
);
CREATE INDEX client_last_name ON client (last_name);

CREATE TABLE acnt_contract (
  id INTEGER PRIMARY KEY,
  client_id INTEGER NOT NULL REFERENCES client,
  contract_number TEXT NOT NULL UNIQUE,
  product TEXT NOT NULL,
  currency TEXT NOT NULL,
  status TEXT NOT NULL,
  balance_cents INTEGER NOT NULL
);

CREATE TABLE card (
  id INTEGER PRIMARY KEY,
  contract_id INTEGER NOT NULL REFERENCES acnt_contract,
  masked_pan TEXT NOT NULL,
  expiry TEXT NOT NULL,
  status TEXT NOT NULL
);
CREATE INDEX card_contract ON card (contract_id);

CREATE TABLE merchant (
  id INTEGER PRIMARY KEY,
  merchant_number TEXT NOT NULL,
  name TEXT NOT NULL,
  mcc TEXT NOT NULL
);

CREATE TABLE merchant_statement (
  id INTEGER PRIMARY KEY,
  contract_id INTEGER NOT NULL REFERENCES acnt_contract,
  merchant_id INTEGER NOT NULL REFERENCES merchant,
  posting_date TEXT NOT NULL,
  gross_cents INTEGER NOT NULL,
  fee_cents INTEGER NOT NULL,
  status TEXT NOT NULL
);

CREATE TABLE doc (
  id INTEGER PRIMARY KEY,
  card_id INTEGER NOT NULL REFERENCES card,
  merchant_id INTEGER NOT NULL REFERENCES merchant,
  trans_date TEXT NOT NULL,
  amount_cents INTEGER NOT NULL,
  response_code TEXT NOT NULL
);
CREATE INDEX doc_trans_date ON doc (trans_date);

INSERT INTO client
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1200),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 51) & 2147483647 AS h FROM n, given)
SELECT n, printf('C%08d', n),
  (SELECT value FROM json_each('["Abel","Berg","Costa","Dahl","Egger","Fuchs","Gruber","Haas","Ilic","Jansen"]') WHERE key = h / 7 % 10),
  (SELECT value FROM json_each('["Wien","Graz","Linz","Zürich","Berlin","Paris"]') WHERE key = h / 13 % 6),
  date('2018-01-01', (h / 17 % 2500) || ' days')
FROM h;

INSERT INTO acnt_contract
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 53) & 2147483647 AS h FROM n, given)
SELECT 10000 + n, 1 + h / 7 % 1200, printf('4000-%08d', n * 7919 % 100000000),
  (SELECT value FROM json_each('["debit","debit","credit","merchant"]') WHERE key = h / 11 % 4),
  (SELECT value FROM json_each('["EUR","EUR","CHF","USD"]') WHERE key = h / 13 % 4),
  (SELECT value FROM json_each('["ok","ok","ok","blocked","closed"]') WHERE key = h / 19 % 5),
  h / 29 % 900000
FROM h;

INSERT INTO card
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3600),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 57) & 2147483647 AS h FROM n, given)
SELECT n, 10001 + h / 7 % 3000, '4000 **** **** ' || printf('%04d', h / 11 % 10000),
  printf('20%02d-%02d', 26 + h / 13 % 5, 1 + h / 17 % 12),
  (SELECT value FROM json_each('["active","active","active","lost","expired"]') WHERE key = h / 19 % 5)
FROM h;

INSERT INTO merchant
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 180),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 59) & 2147483647 AS h FROM n, given)
SELECT n, printf('M%06d', n * 31), 'Shop ' || n, printf('%04d', 4000 + h / 7 % 60 * 50) FROM h;

INSERT INTO merchant_statement
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 16000),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 61) & 2147483647 AS h FROM n, given)
SELECT n, 10001 + h / 7 % 3000, 1 + h / 11 % 180, date('2025-01-01', (n / 45) || ' days'), 100 + h / 13 % 90000,
  h / 17 % 900, (SELECT value FROM json_each('["paid","paid","paid","open","disputed"]') WHERE key = h / 19 % 5)
FROM h;

INSERT INTO doc
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 14000),
  h AS (SELECT n, (n * 1103515245 + seed * 12345 + 67) & 2147483647 AS h FROM n, given)
SELECT n, 1 + h / 7 % 3600, 1 + h / 11 % 180, datetime('2025-01-01', (n * 35) || ' minutes'), 100 + h / 13 % 60000,
  (SELECT value FROM json_each('["00","00","00","00","51","05"]') WHERE key = h / 17 % 6)
FROM h;
