//! Retries before the first event.
