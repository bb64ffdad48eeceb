//! The agent: one per host; drives tasks through their life on an engine.
