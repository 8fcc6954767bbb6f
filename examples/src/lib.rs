//! What every example server shares.
