//! What a cluster may read of others, and what it is told of how the control plane is configured.

use std::sync::Arc;

use state::contract::{Alarms, Networks};

use crate::account::Account;

/// What a cluster may read of others.
pub struct Ports {
    /// Task definitions and settings of its account and region, as they stand.
    pub account: Arc<Account>,
    /// Somebody may want to hear what happens here. Nothing is written for it while nobody does.
    pub listened: bool,
    /// After so many milliseconds without its agent the tasks of services on a container instance are given up; `None` is
    /// never.
    pub lost_after_ms: Option<i64>,
    /// The alarms of its account and region.
    pub alarms: Arc<dyn Alarms>,
    /// The networks of its account and region.
    pub networks: Arc<dyn Networks>,
    /// Which STOPPED tasks are kept beyond the hour that the API shows them; `None` is none.
    pub keeps: Option<Keeps>,
}

/// How much is kept of STOPPED tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeps {
    /// For so long after they stopped.
    pub ms: i64,
    /// At most so many; beyond, the oldest go.
    pub count: usize,
}
