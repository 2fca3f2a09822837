CREATE TEMP TABLE queries (sql_id, query, ms, executions, rows_examined, rows_returned, growth, module);
INSERT INTO queries VALUES
  ('w401', 'SELECT * FROM ows.merchant_statement WHERE contract_id = ?', 27.0, 340, 16000, 5, 60, 'statements'),
  ('w402', 'SELECT d.*, m.name FROM doc d JOIN merchant m ON m.id = d.merchant_id WHERE d.card_id = ? ORDER BY d.trans_date DESC', 31.0, 150, 14000, 4, 0, 'authorisation'),
  ('w403', 'SELECT * FROM acnt_contract WHERE client_id = ?', 3.4, 800, 3000, 3, 0, 'web'),
  ('w404', 'SELECT response_code, count(*) FROM doc WHERE trans_date >= ? GROUP BY response_code', 12.0, 30, 6000, 3, 0, 'monitoring'),
  ('w405', 'SELECT * FROM card WHERE contract_id = ?', 0.3, 3100, 1, 1, 0, 'authorisation'),
  ('w406', 'SELECT count(*) FROM merchant_statement s, merchant m WHERE s.status = ?', 640.0, 1, 2880000, 1, 0, 'reporting'),
  ('w407', 'SELECT * FROM client WHERE upper(last_name) = ?', 2.2, 160, 1200, 120, 0, 'web'),
  ('w408', 'INSERT INTO doc (card_id, merchant_id, trans_date, amount_cents, response_code) VALUES (?, ?, ?, ?, ?)', 0.6, 2400, 0, 0, 0, 'authorisation');
