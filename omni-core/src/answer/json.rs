//! The one JSON form of answer events: SSE payloads, `--jsonl` lines, what Slack renders.
