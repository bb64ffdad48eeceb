//! Every key that there is, and the nearest one to a key that is not.

use super::Error;

/// Every key by its path.
pub const KEYS: &[&str] = &[
    "data_dir",
    "server.listen",
    "server.account",
    "server.region",
    "server.regions",
    "server.partition",
    "server.cluster",
    "server.names",
    "server.known_pair_users",
    "server.accept_any_credentials",
    "server.agent_lost_after_seconds",
    "server.stopped_tasks_kept",
    "tls.listen",
    "tls.certificate",
    "tls.key",
    "tls.authority",
    "agent.engine",
    "agent.docker_socket",
    "agent.reserved_memory",
    "agent.reserved_ports",
    "agent.reserved_ports_udp",
    "agent.availability_zone",
    "agent.address",
    "agent.dns_upstream",
    "agent.attributes",
    "agent.capacity_provider",
    "agent.gpus",
    "agent.task_cleanup_wait_seconds",
    "agent.image_pull_behavior",
    "images.insecure_registries",
    "images.minimum_age_minutes",
    "images.high_water_percent",
    "logs.max_size_mib",
    "logs.max_streams",
    "network.subnet",
    "network.dynamic_ports",
    "lambda.functions",
    "fargate.serve",
    "fargate.isolation",
    "fargate.runsc",
    "fargate.first_id",
    "fargate.tasks",
    "accounts",
];

/// Those whose value is text, whatever it looks like.
pub const TEXT: &[&str] = &[
    "data_dir",
    "server.listen",
    "server.account",
    "server.region",
    "server.partition",
    "server.cluster",
    "tls.listen",
    "tls.certificate",
    "tls.key",
    "tls.authority",
    "agent.engine",
    "agent.docker_socket",
    "agent.availability_zone",
    "agent.address",
    "agent.image_pull_behavior",
    "network.subnet",
    "fargate.isolation",
    "fargate.runsc",
];

/// Refuses the first key that is not known.
pub fn check(path: &str, table: &toml::Table) -> Result<(), Error> {
    for (name, value) in table {
        let section = KEYS.iter().any(|key| key.starts_with(&format!("{name}.")));
        match value.as_table().filter(|_| section) {
            Some(inner) => {
                for key in inner.keys() {
                    known(path, &format!("{name}.{key}"))?;
                }
            }
            None => known(path, name)?,
        }
    }
    Ok(())
}

fn known(path: &str, key: &str) -> Result<(), Error> {
    if KEYS.contains(&key) {
        return Ok(());
    }
    let nearest = KEYS.iter().map(|known| (distance(key, known), *known)).min();
    let nearest =
        nearest.filter(|(distance, _)| *distance <= key.len().div_ceil(2)).map(|(_, key)| key.to_owned());
    Err(Error::UnknownKey { path: path.to_owned(), key: key.to_owned(), nearest })
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = change.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
