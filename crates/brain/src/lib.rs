//! The ECS logic as a pure, synchronous state machine. No I/O, no clock, no randomness, no async.
