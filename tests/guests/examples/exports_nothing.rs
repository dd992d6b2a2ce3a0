//! A component that exports nothing of the world.
