//! Policy from the original `users.yaml` and `mcps.yaml`.
