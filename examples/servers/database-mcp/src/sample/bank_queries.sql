-- Each with milliseconds, executions in a quarter of an hour, rows read and returned each time, and how its time
-- grows over the last three days, in percent.
CREATE TEMP TABLE queries (sql_id, query, ms, executions, rows_examined, rows_returned, growth, module);
INSERT INTO queries VALUES
  ('tm01', 'SELECT * FROM transactions WHERE merchant_id = ? AND status = ? ORDER BY created_at DESC', 38.0, 220, 24000, 16, 180, 'settlement'),
  ('tm02', 'SELECT c.name, sum(t.amount_cents) FROM customers c JOIN accounts a ON a.customer_id = c.customer_id JOIN transactions t ON t.account_id = a.account_id WHERE t.created_at >= ? GROUP BY c.customer_id', 210.0, 6, 28000, 1200, 0, 'reporting'),
  ('tm03', 'SELECT * FROM customers WHERE lower(email) = ?', 4.1, 900, 1500, 1, 0, 'web'),
  ('tm04', 'SELECT * FROM transactions WHERE description LIKE ?', 55.0, 24, 24000, 40, 0, 'support'),
  ('tm05', 'SELECT account_id, balance_cents FROM accounts WHERE account_id = ?', 0.2, 5200, 1, 1, 0, 'web'),
  ('tm06', 'SELECT * FROM transactions WHERE account_id = ? ORDER BY created_at DESC LIMIT 20', 0.9, 2600, 10, 10, 0, 'web'),
  ('tm07', 'SELECT currency, rate FROM exchange_rates WHERE day = ?', 0.6, 400, 730, 2, 0, 'settlement'),
  ('tm08', 'SELECT status, count(*) FROM transactions WHERE date(created_at) = ? GROUP BY status', 47.0, 12, 24000, 3, 0, 'reporting'),
  ('tm09', 'UPDATE accounts SET balance_cents = balance_cents + ? WHERE account_id = ?', 0.5, 1800, 1, 0, 0, 'settlement');
