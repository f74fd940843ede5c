//! Each lint with a file that it finds, and a near twin that it does not.
