//! Which stage follows which, and when: of each strategy from its first stage to its last, and back.

use super::*;
use crate::cluster::{CanaryConfiguration, HookRow, LinearConfiguration};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn course(strategy: DeploymentStrategy, bake: i32) -> DeploymentConfiguration {
    let (step_percent, canary_percent) = (Some(40.0), Some(2.5));
    DeploymentConfiguration {
        strategy: Some(strategy),
        bake_time_in_minutes: Some(bake),
        linear_configuration: (strategy == DeploymentStrategy::Linear)
            .then_some(LinearConfiguration { step_percent, step_bake_time_in_minutes: Some(3) }),
        canary_configuration: (strategy == DeploymentStrategy::Canary)
            .then_some(CanaryConfiguration { canary_percent, canary_bake_time_in_minutes: Some(7) }),
        ..DeploymentConfiguration::default()
    }
}

fn at(stage: Stage) -> StageRow {
    StageRow { stage, since: NOW, wake_at: None, step: 0, test: 0, production: 0, hooks: Vec::new() }
}

/// The stages of a deployment that waits for nothing but its times, with the minute at which it comes to each, and the
/// traffic that goes to its target then.
fn way(course: &DeploymentConfiguration, sources: usize, back: bool, from: Stage) -> Vec<String> {
    let (mut stage, mut now, mut way) = (at(from), NOW, Vec::new());
    let mut others = sources;
    loop {
        way.push(format!("{} {} {}", stage.stage, now.millis_since(NOW) / 60_000, stage.production));
        let going =
            Going { course, stage: &stage, back, started_at: NOW, is_ready: true, others, early: false };
        match next(&going, now) {
            Next::Wait(Some(at)) if at < NOW.plus_millis(limits::STAGE_MS) => now = at,
            // What it waits for is done.
            Next::Wait(_) => others = others.saturating_sub(1),
            Next::Enter(Stage::ProductionTrafficShift) if !back => {
                let step = stage.step + 1;
                let production = weight(course, step);
                stage =
                    StageRow { stage: Stage::ProductionTrafficShift, since: now, step, production, ..stage };
            }
            Next::Enter(entered) => stage = StageRow { stage: entered, since: now, ..stage },
            Next::Last => return way,
            other => panic!("{other:?}"),
        }
        if way.last().is_some_and(|last| last.starts_with("CLEAN_UP")) {
            return way;
        }
    }
}

#[test]
fn each_strategy_goes_by_its_stages_in_their_order() {
    let begins = ["RECONCILE_SERVICE 0 0", "PRE_SCALE_UP 0 0", "SCALE_UP 0 0", "POST_SCALE_UP 0 0"];
    let tests = ["TEST_TRAFFIC_SHIFT 0 0", "POST_TEST_TRAFFIC_SHIFT 0 0"];
    let shifts: [(DeploymentStrategy, &[&str]); 3] = [
        (
            DeploymentStrategy::BlueGreen,
            &["PRE_PRODUCTION_TRAFFIC_SHIFT 0 0", "PRODUCTION_TRAFFIC_SHIFT 0 1000"],
        ),
        (
            DeploymentStrategy::Linear,
            &[
                "PRE_PRODUCTION_TRAFFIC_SHIFT 0 0",
                "PRODUCTION_TRAFFIC_SHIFT 0 400",
                "PRODUCTION_TRAFFIC_SHIFT 3 400",
                "PRE_PRODUCTION_TRAFFIC_SHIFT 3 400",
                "PRODUCTION_TRAFFIC_SHIFT 3 800",
                "PRODUCTION_TRAFFIC_SHIFT 6 800",
                "PRE_PRODUCTION_TRAFFIC_SHIFT 6 800",
                "PRODUCTION_TRAFFIC_SHIFT 6 1000",
            ],
        ),
        (
            DeploymentStrategy::Canary,
            &[
                "PRE_PRODUCTION_TRAFFIC_SHIFT 0 0",
                "PRODUCTION_TRAFFIC_SHIFT 0 25",
                "PRODUCTION_TRAFFIC_SHIFT 7 25",
                "PRE_PRODUCTION_TRAFFIC_SHIFT 7 25",
                "PRODUCTION_TRAFFIC_SHIFT 7 1000",
            ],
        ),
    ];
    for (strategy, steps) in shifts {
        let way = way(&course(strategy, 5), 1, false, Stage::ReconcileService);
        let end = way.len() - 4;
        let shifted: usize = begins.len() + tests.len();
        assert_eq!(way[..shifted], [&begins[..], &tests].concat(), "{strategy}");
        assert_eq!(way[shifted..end], *steps, "{strategy}");
        let minute = steps.last().unwrap().split(' ').nth(1).unwrap().parse::<i32>().unwrap();
        let ends = [
            format!("POST_PRODUCTION_TRAFFIC_SHIFT {minute} 1000"),
            format!("BAKE_TIME {minute} 1000"),
            format!("BAKE_TIME {} 1000", minute + 5),
            format!("CLEAN_UP {} 1000", minute + 5),
        ];
        assert_eq!(way[end..], ends, "{strategy}");
    }
}

#[test]
fn a_deployment_that_rolls_shifts_nothing_and_one_that_goes_back_bakes_nothing() {
    let rolling = course(DeploymentStrategy::Rolling, 2);
    let begins = ["RECONCILE_SERVICE 0 0", "PRE_SCALE_UP 0 0", "SCALE_UP 0 0"];
    let waits = ["SCALE_UP 0 0"; 2];
    let ends = ["POST_SCALE_UP 0 0", "BAKE_TIME 0 0", "BAKE_TIME 2 0", "CLEAN_UP 2 0"];
    let whole = [&begins[..], &waits, &ends].concat();
    assert_eq!(way(&rolling, 2, false, Stage::ReconcileService), whole);
    assert_eq!(way(&rolling, 2, true, Stage::CleanUp), ["CLEAN_UP 0 0"]);
    let back = ["SCALE_UP 0 0", "PRODUCTION_TRAFFIC_SHIFT 0 0", "CLEAN_UP 0 0"];
    assert_eq!(way(&course(DeploymentStrategy::Canary, 2), 1, true, Stage::ScaleUp), back);
    assert_eq!(
        (first(0), first(1), first(2)),
        (Stage::PreScaleUp, Stage::PreScaleUp, Stage::ReconcileService)
    );
}

#[test]
fn a_stage_waits_for_its_tasks_for_a_day_and_a_deployment_for_a_month() {
    let course = course(DeploymentStrategy::BlueGreen, 0);
    let lasts = NOW.plus_millis(limits::STAGE_MS);
    let of = |stage: Stage, back: bool, started_at: Timestamp, now: Timestamp| {
        let (stage, is_ready) = (at(stage), false);
        next(
            &Going { course: &course, stage: &stage, back, started_at, is_ready, others: 2, early: false },
            now,
        )
    };
    for stage in [Stage::ReconcileService, Stage::ScaleUp] {
        assert_eq!(of(stage, false, NOW, NOW), Next::Wait(Some(lasts)));
        assert_eq!(of(stage, false, NOW, lasts), Next::Fail(Cause::TimedOut));
    }
    assert_eq!(
        of(Stage::ScaleUp, true, NOW, lasts),
        Next::Wait(None),
        "a rollback is tried until it succeeds"
    );
    assert_eq!(of(Stage::CleanUp, false, NOW, lasts), Next::Last);
    let month = NOW.plus_millis(-limits::STAGED_DEPLOYMENT_MS);
    assert_eq!(of(Stage::PostScaleUp, false, month, NOW), Next::Fail(Cause::TimedOut));
}

#[test]
fn all_hooks_of_a_stage_have_to_say_so_and_one_is_enough_to_go_back() {
    use DeploymentLifecycleHookAction::{Continue, Rollback};
    use DeploymentLifecycleHookStatus::{AwaitingAction, Failed, InProgress, Succeeded, TimedOut};
    let later = NOW.plus_millis(60_000);
    let on = Next::Enter(Stage::ScaleUp);
    let back = Next::Fail(Cause::Hook);
    for (hooks, now, want) in [
        (vec![(Succeeded, Rollback)], NOW, on),
        (vec![(AwaitingAction, Rollback)], NOW, Next::Wait(Some(later))),
        (vec![(Succeeded, Rollback), (AwaitingAction, Continue)], NOW, Next::Wait(Some(later))),
        (vec![(AwaitingAction, Rollback), (Failed, Continue)], NOW, back),
        (vec![(AwaitingAction, Continue)], later, Next::Expire),
        (vec![(InProgress, Rollback), (Succeeded, Rollback)], NOW, Next::Wait(Some(later))),
        (vec![(InProgress, Continue)], later, Next::Expire),
        (vec![(TimedOut, Continue), (Succeeded, Rollback)], later, on),
        (vec![(TimedOut, Rollback), (AwaitingAction, Continue)], NOW, back),
    ] {
        let hook = |(status, timeout_action)| HookRow {
            id: "ecs-pause-x".to_owned(),
            stage: Stage::PreScaleUp,
            status,
            expires_at: later,
            timeout_action,
            function: None,
        };
        let stage = StageRow { hooks: hooks.iter().copied().map(hook).collect(), ..at(Stage::PreScaleUp) };
        let course = course(DeploymentStrategy::BlueGreen, 0);
        let going = Going {
            course: &course,
            stage: &stage,
            back: false,
            started_at: NOW,
            is_ready: false,
            others: 1,
            early: false,
        };
        assert_eq!(next(&going, now), want, "{hooks:?}");
    }
}
