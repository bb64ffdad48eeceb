//! Container images: pull, load, unpack, store, collect.
