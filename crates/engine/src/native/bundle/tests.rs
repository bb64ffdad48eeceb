//! The plan of a container, as a whole.
