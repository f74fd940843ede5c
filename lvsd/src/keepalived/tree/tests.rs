//! What comes of files that are right and files that are wrong.
