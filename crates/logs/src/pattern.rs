//! The filter pattern language of CloudWatch Logs: a parser and a matcher. Pure, bounded, never panics.
