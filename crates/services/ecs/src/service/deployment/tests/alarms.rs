//! Deployment alarms: which state counts, for how long it is watched, and what becomes of the deployment.

use state::contract::{AlarmState, AlarmValue};

use super::*;

const MINUTE: i64 = 60_000;

fn says(world: &mut World, name: &str, value: AlarmValue) {
    let alarm = AlarmState { name: name.to_owned(), value, window_ms: 90_000 };
    world.alarms.0.insert(name.to_owned(), alarm);
}

/// A service that rolls to its second revision, watched by the alarms `a` and `b`.
fn watched(world: &mut World, rollback: bool, more: Value) {
    let mut configuration =
        json!({"alarms": {"alarmNames": ["a", "b"], "enable": true, "rollback": rollback}});
    configuration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.host(100_000);
    create(world, 2, json!({}));
    world.obey();
    update(world, json!({"deploymentConfiguration": configuration}));
    update(world, json!({"taskDefinition": "web:2"}));
}

fn alarms(world: &World) -> (&'static str, Option<Vec<String>>) {
    let alarms = deployments(world).remove(0).alarms.unwrap();
    (alarms.status.unwrap().as_str(), alarms.triggered_alarm_names)
}

#[test]
fn an_alarm_rolls_a_deployment_back() {
    let mut world = World::new();
    says(&mut world, "a", AlarmValue::Ok);
    watched(&mut world, true, json!({}));
    assert_eq!(alarms(&world), ("MONITORING", None));
    says(&mut world, "a", AlarmValue::Alarm);
    world.pass(limits::ALARMS_LOOKED_AT_MS);
    assert_eq!(alarms(&world), ("TRIGGERED", Some(vec!["a".to_owned()])));
    let shown = listed(&world);
    assert!(shown[0].2.starts_with("ECS deployment failed: alarm detected: rolling back to"), "{shown:?}");
    assert_eq!(
        (shown[1].1, shown[1].2.as_str()),
        (DeploymentRolloutState::Failed, "ECS deployment failed: alarm detected.")
    );
    world.obey();
    let reason = "Service deployment rolled back because an alarm was detected.";
    assert_eq!(statuses(&world)[0], (Status::RollbackSuccessful, Some(reason.to_owned())));
    assert!(world.service("s").task_definition.unwrap().ends_with("web:1"));
    assert!(world.events("s").iter().any(|said| said == "(deployment) deployment failed: alarm detected."));
}

#[test]
fn without_rollback_an_alarm_stops_a_deployment() {
    let mut world = World::new();
    watched(&mut world, false, json!({}));
    says(&mut world, "b", AlarmValue::Alarm);
    world.pass(limits::ALARMS_LOOKED_AT_MS);
    let reason = "Service deployment stopped because an alarm was detected.";
    assert_eq!(statuses(&world)[0], (Status::Stopped, Some(reason.to_owned())));
    assert_eq!(alarms(&world), ("TRIGGERED", Some(vec!["b".to_owned()])));
}

#[test]
fn what_is_not_in_alarm_says_nothing_and_is_watched_for_as_long_as_it_takes() {
    for (value, bakes) in [(None, 0), (Some(AlarmValue::InsufficientData), 2), (Some(AlarmValue::Ok), 2)] {
        let mut world = World::new();
        if let Some(value) = value {
            says(&mut world, "a", value);
        }
        watched(&mut world, true, json!({}));
        world.obey();
        if bakes > 0 {
            let stage = deployments(&world).remove(0).lifecycle_stage.unwrap();
            assert_eq!((stage.as_str(), statuses(&world)[0].0), ("BAKE_TIME", Status::InProgress));
            world.pass(bakes * MINUTE);
        }
        assert_eq!(statuses(&world)[0], (Status::Successful, None), "{value:?}");
        assert_eq!(alarms(&world), ("MONITORING_COMPLETE", None));
        // It is over.
        says(&mut world, "a", AlarmValue::Alarm);
        world.pass(10 * MINUTE);
        assert_eq!(statuses(&world)[0].0, Status::Successful);
    }
}

#[test]
fn an_alarm_that_was_there_before_is_not_watched() {
    let mut world = World::new();
    says(&mut world, "a", AlarmValue::Alarm);
    watched(&mut world, true, json!({"bakeTimeInMinutes": 1}));
    says(&mut world, "b", AlarmValue::Alarm);
    world.obey();
    world.pass(MINUTE);
    assert_eq!(alarms(&world), ("DISABLED", None));
    assert_eq!(statuses(&world)[0], (Status::Successful, None));
}

#[test]
fn an_alarm_counts_at_every_stage() {
    for bakes in [false, true] {
        let mut world = World::new();
        let mut configuration = json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 30});
        if !bakes {
            configuration["lifecycleHooks"] =
                json!([{"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"]}]);
        }
        watched(&mut world, true, configuration);
        world.obey();
        world.pass(5 * MINUTE);
        assert_eq!(statuses(&world)[0].0, Status::InProgress);
        says(&mut world, "a", AlarmValue::Alarm);
        world.pass(limits::ALARMS_LOOKED_AT_MS);
        world.obey();
        assert_eq!(statuses(&world)[0].0, Status::RollbackSuccessful, "{bakes}");
    }
}
