//! CloudWatch Logs storage: append-only, with the filter pattern language.
