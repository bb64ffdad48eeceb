//! Durable rows, revisions, watches and leases behind one small trait.
