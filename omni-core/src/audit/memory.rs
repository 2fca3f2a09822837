//! A sink in memory, bounded; for embedders without a database and for tests.
