//! The one place where HTTP clients are built, with a preconfigured ring TLS configuration, so that
//! no process-wide crypto provider is needed.
