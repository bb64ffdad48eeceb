//! Schedules and rules that run tasks.

use serde_json::json;

use super::User;
use crate::{
    record::{Makes, Thing},
    server::{ACCOUNT, CLUSTER, REGION},
};

const ROLE: &str = "arn:aws:iam::000000000000:role/runs";

impl User {
    pub(super) async fn schedule(&mut self) {
        self.schedules += 1;
        let name = format!("d{}-{}", self.number, self.schedules);
        let input = json!({
            "Name": name, "ScheduleExpression": "rate(1 minute)", "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{CLUSTER}"), "RoleArn": ROLE,
                "EcsParameters": {
                    "TaskDefinitionArn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/short:1"),
                    "TaskCount": self.world.range(1, 2),
                },
            },
        });
        self.change(("scheduler", "CreateSchedule"), input, Thing::Schedule(name), Makes::Be(1)).await;
    }

    pub(super) async fn unschedule(&mut self) {
        if self.schedules == 0 {
            return;
        }
        let last = i64::try_from(self.schedules).unwrap_or(1);
        let name = format!("d{}-{}", self.number, self.world.range(1, last));
        let input = json!({"Name": name});
        self.change(("scheduler", "DeleteSchedule"), input, Thing::Schedule(name), Makes::Gone).await;
    }

    /// Makes a rule that runs a task now and then, or deletes it.
    pub(super) async fn rule(&mut self) {
        let name = format!("r{}-{}", self.number, self.world.range(0, 1));
        if self.world.percent(40) {
            self.remove_rule(name).await;
            return;
        }
        let input = json!({"Name": name, "ScheduleExpression": "rate(2 minutes)"});
        let thing = Thing::Rule(name.clone());
        self.change(("events", "PutRule"), input, thing, Makes::Be(1)).await;
        let target = json!({
            "Id": "t", "Arn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{CLUSTER}"), "RoleArn": ROLE,
            "EcsParameters": {"TaskDefinitionArn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/short:2"), "TaskCount": 1},
        });
        drop(self.call_of("events", "PutTargets", json!({"Rule": name, "Targets": [target]})).await);
    }

    pub(super) async fn remove_rule(&self, name: String) {
        drop(self.call_of("events", "RemoveTargets", json!({"Rule": name, "Ids": ["t"]})).await);
        let input = json!({"Name": name});
        self.change(("events", "DeleteRule"), input, Thing::Rule(name), Makes::Gone).await;
    }

    /// Deletes what runs tasks for ever.
    pub(super) async fn leave_schedules(&self, most: usize) {
        for schedule in 1..=most {
            let name = format!("d{}-{schedule}", self.number);
            self.world.record.lock().forget(&Thing::Schedule(name.clone()));
            drop(self.insist("scheduler", "DeleteSchedule", json!({"Name": name})).await);
        }
        for rule in 0..2 {
            let name = format!("r{}-{rule}", self.number);
            self.world.record.lock().forget(&Thing::Rule(name.clone()));
            drop(self.insist("events", "RemoveTargets", json!({"Rule": name, "Ids": ["t"]})).await);
            drop(self.insist("events", "DeleteRule", json!({"Name": name})).await);
        }
    }
}
