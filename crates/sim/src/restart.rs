//! The control plane's end and new start: the state is written as the store would hold it, read back, and
//! must be the same, indexes and all.

use ::ecs::{
    Cluster,
    cluster::{Change, Row},
};
use state::{Domain, Table, contract::Tells};

/// Writes every row and reads it again.
pub fn reread(state: &Cluster) -> Result<Cluster, String> {
    let mut rows = vec![Row::Cluster(state.row.clone())];
    rows.extend(state.instances().cloned().map(Row::Instance));
    rows.extend(state.services().cloned().map(Row::Service));
    rows.extend(state.tasks().cloned().map(Row::Task));
    rows.extend(state.tokens().cloned().map(Row::Token));
    rows.extend(state.outgoing().waiting().cloned().map(Row::EventOut));
    rows.extend(state.outgoing().sequence().map(Row::from));
    let mut read = Cluster::of(state.row.as_ref().clone());
    for row in rows {
        let key = Row::path(&row.key());
        let back = Row::decode(&key, &row.encode()).map_err(|error| format!("{key}: {error}"))?;
        if back != row {
            return Err(format!("{key} is another row when it is read again"));
        }
        read.apply(&Change::Put(back));
    }
    if read.totals() != state.totals()
        || !read.tallies().eq(state.tallies())
        || read.agenda().wake_at() != state.agenda().wake_at()
        || !read.outgoing().waiting().eq(state.outgoing().waiting())
        || read.outgoing().sequence() != state.outgoing().sequence()
    {
        return Err("the indexes differ after a restart".to_owned());
    }
    Ok(read)
}
