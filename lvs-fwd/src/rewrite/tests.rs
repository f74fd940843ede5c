//! What a rewritten packet must be, whatever the method.
