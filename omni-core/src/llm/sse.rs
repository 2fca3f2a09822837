//! Server-sent events of a model stream.
