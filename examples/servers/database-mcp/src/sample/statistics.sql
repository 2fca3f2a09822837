-- What an application would have recorded of the queries.
CREATE TABLE omni_query_stats (
  recorded_at TEXT NOT NULL,      -- when the interval ended, in UTC
  sql_id TEXT NOT NULL,
  query TEXT NOT NULL,
  executions INTEGER NOT NULL,
  elapsed_ms REAL NOT NULL,       -- of all executions
  max_ms REAL,
  cpu_ms REAL,
  rows_examined INTEGER,
  rows_returned INTEGER,
  module TEXT
);

-- The day has a busy noon; every value is up to 15 % off. On the second database something has been wrong for an hour.
INSERT INTO omni_query_stats
WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 14 * 96 - 1),
  times AS (
    SELECT n, datetime(now, '-' || (n * 15) || ' minutes') AS at, seed, number, now FROM n, given
  ),
  runs AS (
    SELECT at, n, number, q.*, q.rowid AS q,
      0.85 + ((n * 7919 + q.rowid * 104729 + seed) * 1103515245 & 2147483647) % 1000 * 0.0003 AS about,
      0.4 + 0.6 * max(0, 1 - abs(CAST(strftime('%H', at) AS REAL) + CAST(strftime('%M', at) AS REAL) / 60 - 13) / 10) AS busy,
      1 + growth / 100.0 * max(0, 288 - n) / 288.0 AS grown
    FROM times, queries q
  ),
  counted AS (
    SELECT *, max(1, CAST(executions * busy * about AS INTEGER)) AS count,
      ms * about * grown * CASE WHEN number = 1 AND n < 4 THEN 4.5 ELSE 1 END AS each
    FROM runs
  )
SELECT at, sql_id, query, count, round(count * each, 3), round(each * 3.2, 3), round(count * each * 0.7, 3),
  count * rows_examined, count * rows_returned, module
FROM counted ORDER BY at, sql_id;
CREATE INDEX omni_query_stats_time ON omni_query_stats (recorded_at);
DROP TABLE queries;
