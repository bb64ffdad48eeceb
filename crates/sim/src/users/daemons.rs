//! Daemons: all users share a few.

use ::ecs::{arn, cluster::DaemonName, cluster::DaemonStatus};
use serde_json::{Value, json};

use super::{
    User,
    definitions::{DAEMONS, definition, is_restless},
};
use crate::{
    machine::{MANAGED, PROVIDERS},
    server::CLUSTER,
};

const NAMES: [&str; 2] = ["m0", "m1"];

impl User {
    /// Registers two revisions of each family of daemons.
    pub(super) async fn prepare_daemons(&self) {
        for (family, cpu, memory) in DAEMONS {
            for _ in 0..2 {
                self.must("ecs", "RegisterDaemonTaskDefinition", definition(family, cpu, memory)).await;
            }
        }
    }

    fn of_daemon(&self) -> Value {
        let world = &self.world;
        let family =
            if world.percent(75) { "watch" } else { world.pick(&DAEMONS).map_or("watch", |of| of.0) };
        let providers = match world.range(0, 9) {
            0 => &[PROVIDERS[0], MANAGED][..],
            1..=4 => &PROVIDERS[..],
            _ => &PROVIDERS[..1],
        };
        json!({
            "daemonTaskDefinitionArn": format!("{family}:{}", world.range(1, 2)),
            "capacityProviderArns": providers,
            "critical": world.percent(60),
            "deploymentConfiguration": {
                "drainPercent": world.range(0, 10) * 10, "bakeTimeInMinutes": world.range(0, 1),
            },
        })
    }

    fn daemon_arn(&self, name: &str) -> Option<String> {
        let ctx = self.world.server()?.homes.own().ctx("", self.world.now());
        Some(arn::daemon(&ctx, CLUSTER, name))
    }

    /// Makes, changes or deletes one.
    pub(super) async fn managed_daemon(&self) {
        let name = self.world.pick(&NAMES).copied().unwrap_or_default();
        let Some(arn) = self.daemon_arn(name) else { return };
        match self.world.range(0, 9) {
            0..=3 => {
                let mut input = self.of_daemon();
                input["daemonName"] = name.into();
                let ctx = self.world.server().map(|server| server.homes.own().ctx("", self.world.now()));
                input["clusterArn"] = ctx.map(|ctx| arn::cluster(&ctx, CLUSTER)).into();
                drop(self.call("CreateDaemon", input).await);
            }
            4..=7 => {
                let mut input = self.of_daemon();
                input["daemonArn"] = arn.into();
                drop(self.call("UpdateDaemon", input).await);
            }
            _ => drop(self.call("DeleteDaemon", json!({"daemonArn": arn})).await),
        }
    }

    /// Deletes those whose tasks would never stay.
    pub(super) async fn leave_daemons(&self) {
        for name in NAMES {
            loop {
                let Some(visible) = self.world.server().and_then(|server| server.state()) else {
                    self.world.pause(500, 1_000).await;
                    continue;
                };
                let name = DaemonName(name.into());
                let row = visible.state.daemon_row(&name).filter(|row| row.status == DaemonStatus::Active);
                let revision = row.and_then(|row| visible.state.daemon_revision(&name, &row.target));
                let goes = revision.is_some_and(|of| is_restless(&of.task_definition.family));
                drop(visible);
                if let Some(arn) = self.daemon_arn(&name.0).filter(|_| goes) {
                    drop(self.insist("ecs", "DeleteDaemon", json!({"daemonArn": arn})).await);
                }
                break;
            }
        }
    }
}
