//! omni.
