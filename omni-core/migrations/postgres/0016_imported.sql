-- Rows of the original, which have no record: each gets an id of its own by which it is found, and what earlier
-- versions of the original kept under other names is shown like the rest.
UPDATE audit_logs SET
    request_id       = coalesce(request_id, gen_random_uuid()::text),
    message          = coalesce(message, question),
    message_preview  = coalesce(
        message_preview,
        CASE WHEN length(coalesce(message, question)) > 200
             THEN left(coalesce(message, question), 197) || '...'
             ELSE coalesce(message, question) END
    ),
    response_preview = coalesce(response_preview, left(result_summary, 500))
WHERE chain_id IS NULL
  AND (request_id IS NULL
       OR (message IS NULL AND question IS NOT NULL)
       OR (message_preview IS NULL AND coalesce(message, question) IS NOT NULL)
       OR (response_preview IS NULL AND result_summary IS NOT NULL));

INSERT INTO schema_version (version, description) VALUES (16, 'imported') ON CONFLICT DO NOTHING;
