//! Where tasks go, in memory alone: no row is made of them.

use std::time::Instant;

use ecs::placement::{self, Request};
use serde_json::{Value, json};
use wire::Error;

use super::world::{World, read, said};

impl World {
    /// Places so many tasks that are all alike, as a service's; then so many of which each is asked for by itself, with
    /// constraints that have to be read and looked at.
    pub async fn placing(&self, tasks: usize) -> anyhow::Result<Value> {
        let grouped = self.places(tasks, 1, json!([])).await?;
        let constraints = json!([{"type": "memberOf", "expression":
            "attribute:ecs.availability-zone in [zone-0, zone-1, zone-2] and agentConnected == true"}]);
        let alone = self.places(1, tasks, constraints).await?;
        Ok(json!({"grouped_per_second": grouped, "with_constraints_per_second": alone}))
    }

    /// So many requests for so many tasks each; how many tasks a second found their place.
    async fn places(&self, tasks: usize, requests: usize, constraints: Value) -> anyhow::Result<f64> {
        use ecs::convert::Stored;
        let strategy: Vec<ecs_model::PlacementStrategy> = read(self.placed())?;
        let constraints: Vec<ecs_model::PlacementConstraint> = read(constraints)?;
        let look = move |txn: &mut ecs::Txn| {
            let definition =
                ecs::task::run::active_definition(txn, "web", ecs_model::errors::invalid_parameter)?;
            let (began, mut placed) = (Instant::now(), 0);
            let mut rehearsal = placement::Rehearsal::new(txn.state);
            for number in 0..requests {
                let group = format!("group:{}", number % 100);
                let (constraints, strategy) = (constraints.clone().stored(), strategy.clone().stored());
                let request =
                    Request::new(&definition, &Default::default(), &group, &constraints, &strategy)?;
                placed += rehearsal.place(request, tasks, txn.ids);
            }
            Ok::<_, Error>((placed, began.elapsed()))
        };
        let (placed, took) = self.cluster().execute("", look).await.map_err(said)?;
        anyhow::ensure!(placed == tasks * requests, "all have a place");
        Ok(placed as f64 / took.as_secs_f64())
    }
}
