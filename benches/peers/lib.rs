//! Only a home for the bench.
