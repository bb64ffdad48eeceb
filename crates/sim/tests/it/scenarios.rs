//! Scenarios: what ECS promises of deployments, drained hosts, protection, capacity, zones, task sets and daemons, each shown
//! once with agents, a control plane and a clock, where nothing fails but what the scenario has fail.

use std::collections::{BTreeMap, BTreeSet};

use ecs::{
    Cluster, capacity,
    cluster::{
        DaemonName, DeploymentLifecycleHookStatus, Desired, InstanceRow, InstanceStatus,
        ServiceDeploymentRow, ServiceDeploymentStatus, ServiceName, TaskRow, TaskStatus,
    },
    instance::{ZONE, attribute},
};
use serde_json::{Value, json};
use sim::scenario::{Order, Scenario};

const BIG: (i32, i32) = (2048, 2048);

fn passes(scenario: Scenario) {
    let tells = std::env::var_os("ROADSTEAD_SIM_TELL").is_some();
    scenario
        .telling(tells)
        .run()
        .unwrap_or_else(|failure| panic!("at {} ms: {}", failure.at_ms, failure.what));
}

/// Two revisions of `web`, which runs, and `gone`, whose image nobody finds.
fn families(mut scenario: Scenario) -> Scenario {
    for family in ["web", "web", "gone"] {
        let app = json!({"name": "app", "image": "i", "cpu": 100, "memory": 100});
        let input = json!({"family": family, "containerDefinitions": [app]});
        scenario = scenario.call("RegisterTaskDefinition", input);
    }
    scenario
}

/// Capacity providers of the cluster, none of which grows.
fn providers(mut scenario: Scenario, names: &[&str]) -> Scenario {
    for name in names {
        let input = json!({"name": name, "autoScalingGroupProvider": {
            "autoScalingGroupArn": name, "managedScaling": {"status": "DISABLED"},
            "managedTerminationProtection": "DISABLED",
        }});
        scenario = scenario.call("CreateCapacityProvider", input);
    }
    let input = json!({"cluster": "c", "capacityProviders": names, "defaultCapacityProviderStrategy": []});
    scenario.call("PutClusterCapacityProviders", input)
}

fn create(scenario: Scenario, desired: usize, more: Value) -> Scenario {
    scenario.call(
        "CreateService",
        with(json!({"desiredCount": desired, "serviceName": "s", "taskDefinition": "web:1"}), more),
    )
}

fn update(scenario: Scenario, more: Value) -> Scenario {
    scenario.call("UpdateService", with(json!({"service": "s"}), more))
}

fn with(mut input: Value, more: Value) -> Value {
    input["cluster"] = "c".into();
    for (name, value) in more.as_object().into_iter().flatten() {
        input[name] = value.clone();
    }
    input
}

fn is(so: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if so { Ok(()) } else { Err(why()) }
}

/// The tasks of the service that are RUNNING and shall be.
fn running(state: &Cluster) -> impl Iterator<Item = &TaskRow> {
    let all = state.tasks().map(AsRef::as_ref);
    all.filter(|task| {
        task.service.is_some() && task.last == TaskStatus::Running && task.desired == Desired::Running
    })
}

fn of_revision(state: &Cluster, revision: i32) -> usize {
    running(state).filter(|task| task.task_definition.revision == revision).count()
}

/// The service is steady with so many tasks of a revision of `web`.
fn steady(many: usize, revision: i32) -> impl Fn(&Cluster) -> Result<(), String> {
    move |state| {
        let service = state.service(&"s".into()).ok_or("there is no service")?;
        let count = of_revision(state, revision);
        let all = running(state).count();
        is(service.steady && (count, all) == (many, many), || {
            format!("{count} of {all} tasks, steady: {}", service.steady)
        })
    }
}

/// At least so many tasks of the service run.
fn at_least(many: usize) -> impl Fn(&Cluster) -> Result<(), String> {
    move |state| {
        let count = running(state).count();
        is(count >= many, || format!("{count} tasks run"))
    }
}

fn deployment(state: &Cluster) -> Result<&ServiceDeploymentRow, String> {
    let newest = state.service_deployment(&ServiceName::from("s"));
    newest.map(AsRef::as_ref).ok_or_else(|| "there is no deployment".to_owned())
}

fn ended(status: ServiceDeploymentStatus) -> impl Fn(&Cluster) -> Result<(), String> {
    move |state| {
        let row = deployment(state)?;
        is(row.status == status, || format!("it is {:?}", row.status))
    }
}

/// The container instance in a zone that is not INACTIVE.
fn host<'a>(state: &'a Cluster, zone: &str) -> Option<&'a InstanceRow> {
    let zone = format!("us-east-1{zone}");
    let rows = state.instances().map(AsRef::as_ref);
    rows.into_iter()
        .find(|row| row.status != InstanceStatus::Inactive && attribute(row, ZONE).as_ref() == Some(&zone))
}

fn drain(scenario: Scenario, zone: &'static str) -> Scenario {
    scenario.call_with("UpdateContainerInstancesState", move |state| {
        let id = host(state, zone).map(|row| row.id.to_string());
        json!({"cluster": "c", "containerInstances": [id], "status": "DRAINING"})
    })
}

/// How many tasks of the service run in each zone.
fn by_zone(state: &Cluster) -> BTreeMap<String, usize> {
    let mut zones = BTreeMap::new();
    for task in running(state) {
        let host = task.instance.and_then(|id| state.instance(&id));
        *zones.entry(host.and_then(|row| attribute(row, ZONE)).unwrap_or_default()).or_default() += 1;
    }
    zones
}

fn in_zones(counts: &'static [usize]) -> impl Fn(&Cluster) -> Result<(), String> {
    move |state| {
        let zones = by_zone(state);
        is(zones.values().eq(counts), || format!("{zones:?}"))
    }
}

#[test]
fn a_circuit_breaker_rolls_a_deployment_back_that_does_not_come_up() {
    let mut scenario = families(Scenario::new().machine(BIG, "a", None).machine(BIG, "b", None));
    let breaker = json!({"enable": true, "rollback": true});
    scenario = create(scenario, 3, json!({"deploymentConfiguration": {"deploymentCircuitBreaker": breaker}}))
        .becomes(120, "the first revision runs", steady(3, 1))
        .holds("no task of it goes", at_least(3));
    scenario = update(scenario, json!({"taskDefinition": "gone:1"}))
        .becomes(600, "it is rolled back", ended(ServiceDeploymentStatus::RollbackSuccessful))
        .becomes(120, "the first revision runs alone", steady(3, 1));
    passes(scenario);
}

/// Without a circuit breaker, too, what runs is kept up, however often the new revision fails.
#[test]
fn a_deployment_that_does_not_come_up_leaves_what_runs_as_it_was() {
    let mut scenario = families(Scenario::new().machine(BIG, "a", None).machine(BIG, "b", None));
    scenario = create(scenario, 3, json!({})).becomes(120, "the first revision runs", steady(3, 1));
    scenario = update(scenario, json!({"taskDefinition": "gone:1"}));
    let runs = |many: usize| {
        move |state: &Cluster| {
            let web = running(state).filter(|task| task.task_definition.family == "web").count();
            is(web == many, || format!("{web} tasks of the first revision run"))
        }
    };
    for _ in 0..4 {
        scenario = scenario.after(60).call_with("StopTask", |state| {
            let oldest = running(state).min_by_key(|task| (task.created_at, task.id));
            json!({"cluster": "c", "task": oldest.map(|task| task.id.to_string())})
        });
        scenario = scenario.becomes(1, "one is gone", runs(2)).becomes(60, "and another one there", runs(3));
    }
    scenario = drain(scenario, "a").becomes(120, "they run elsewhere", |state| in_zones(&[3])(state));
    scenario = update(scenario, json!({"taskDefinition": "web:2"}));
    passes(scenario.becomes(300, "the next revision runs alone", steady(3, 2)));
}

#[test]
fn a_host_is_drained_within_minimum_healthy_percent() {
    let scenario = Scenario::new().machine(BIG, "a", None).machine(BIG, "b", None).machine(BIG, "c", None);
    let percents = json!({"minimumHealthyPercent": 50, "maximumPercent": 100});
    let scenario = create(families(scenario), 6, json!({"deploymentConfiguration": percents}))
        .becomes(120, "it runs", steady(6, 1))
        .holds("half of the tasks run", at_least(3));
    let scenario = drain(scenario, "a")
        .becomes(300, "the host is empty", |state| {
            let row = host(state, "a").ok_or("there is no host")?;
            let left = state.tasks_on(&row.id).count();
            is(left == 0, || format!("{left} tasks are there"))
        })
        .becomes(120, "it runs elsewhere", steady(6, 1));
    passes(scenario);
}

#[test]
fn protected_tasks_are_neither_scaled_in_nor_replaced_until_that_ends() {
    let mut scenario = families(Scenario::new().machine(BIG, "a", None).machine(BIG, "b", None));
    scenario = create(scenario, 4, json!({})).becomes(120, "it runs", steady(4, 1));
    let protect = |scenario: Scenario, enabled: bool| {
        scenario.call_with("UpdateTaskProtection", move |state| {
            let mut tasks: Vec<String> = running(state)
                .filter(|task| task.task_definition.revision == 1)
                .map(|task| task.id.to_string())
                .collect();
            tasks.truncate(2);
            json!({"cluster": "c", "tasks": tasks, "protectionEnabled": enabled})
        })
    };
    let protected = |state: &Cluster| state.tasks().filter(|task| task.protected_until.is_some()).count();
    scenario = protect(scenario, true).becomes(5, "two are protected", move |state| {
        is(protected(state) == 2, || format!("{} are", protected(state)))
    });
    scenario =
        update(scenario, json!({"desiredCount": 1})).becomes(60, "the two others have gone", move |state| {
            let count = running(state).count();
            is(count == 2 && protected(state) == 2, || format!("{count} run"))
        });
    scenario = update(scenario, json!({"taskDefinition": "web:2"})).after(300).becomes(
        1,
        "both still run",
        |state| {
            let old = of_revision(state, 1);
            is(old == 2, || format!("{old} run"))
        },
    );
    passes(protect(scenario, false).becomes(120, "the new revision runs alone", steady(1, 2)));
}

#[test]
fn a_strategy_distributes_tasks_over_two_providers_by_base_and_weight() {
    let scenario = Scenario::new().machine(BIG, "a", "one").machine(BIG, "b", "two");
    let scenario = providers(families(scenario), &["one", "two"]);
    let strategy = json!([
        {"capacityProvider": "one", "base": 2, "weight": 1}, {"capacityProvider": "two", "weight": 3},
    ]);
    let run =
        json!({"cluster": "c", "taskDefinition": "web:1", "count": 10, "capacityProviderStrategy": strategy});
    let split = |whose: fn(&TaskRow) -> bool, counts: [usize; 2]| {
        move |state: &Cluster| {
            let tasks = || state.tasks().filter(|task| whose(task) && task.desired == Desired::Running);
            let of =
                |name: &str| tasks().filter(|task| task.capacity_provider.as_deref() == Some(name)).count();
            let is_home = |task: &&std::sync::Arc<TaskRow>| {
                let row = task.instance.and_then(|id| state.instance(&id));
                row.is_some_and(|row| capacity::of_instance(row) == task.capacity_provider.as_deref())
            };
            let has = [of("one"), of("two")];
            is(has == counts && tasks().all(|task| is_home(&task)), || format!("{has:?}"))
        }
    };
    let scenario = scenario.call("RunTask", run).becomes(
        60,
        "two are of the base, of eight others two and six",
        split(|task| task.service.is_none(), [4, 6]),
    );
    let scenario = create(scenario, 6, json!({"capacityProviderStrategy": strategy})).becomes(
        120,
        "a service has it too",
        split(|task| task.service.is_some(), [3, 3]),
    );
    // Of those beyond the base the first came to `one`, and three to `two`: rebalancing over zones leaves that as it is.
    let scenario = update(scenario, json!({"desiredCount": 3})).becomes(
        120,
        "what came last goes first",
        split(|task| task.service.is_some(), [3, 0]),
    );
    passes(scenario);
}

#[test]
fn a_service_is_rebalanced_when_a_zone_comes_back() {
    let mut scenario =
        families(Scenario::new().machine(BIG, "a", None).machine(BIG, "b", None).machine(BIG, "c", None));
    scenario = create(scenario, 6, json!({}))
        .becomes(120, "each zone has its share", in_zones(&[2, 2, 2]))
        .order(2, Order::Vanishes(300_000))
        .after(2)
        .call_with("DeregisterContainerInstance", |state| {
            let id = host(state, "c").map(|row| row.id.to_string());
            json!({"cluster": "c", "containerInstance": id, "force": true})
        })
        .becomes(120, "the other zones have all", in_zones(&[3, 3]))
        .holds("no task is missing from here on", at_least(6))
        .becomes(900, "each zone has its share again", in_zones(&[2, 2, 2]));
    passes(scenario.becomes(120, "it is steady", steady(6, 1)));
}

#[test]
fn a_deployment_pauses_goes_on_and_another_one_is_stopped_and_goes_back() {
    let hook = json!({"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]});
    let configuration = json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": [hook]});
    let pauses = |state: &Cluster| {
        let stage = deployment(state)?.stage.as_ref();
        let mut hooks = stage.into_iter().flat_map(|stage| &stage.hooks);
        let waits = hooks.any(|hook| hook.status == DeploymentLifecycleHookStatus::AwaitingAction);
        is(waits, || format!("it is at {stage:?}"))
    };
    let arn = |row: &ServiceDeploymentRow| {
        format!("arn:aws:ecs:us-east-1:000000000000:service-deployment/c/s/{}", row.id)
    };
    let mut scenario = families(Scenario::new().machine(BIG, "a", None).machine(BIG, "b", None));
    scenario = create(scenario, 3, json!({"deploymentConfiguration": configuration}))
        .becomes(30, "the first one pauses too", pauses)
        .call_with("ContinueServiceDeployment", move |state| go_on(state, &arn))
        .becomes(120, "it runs", steady(3, 1))
        .holds("three tasks run at the least", at_least(3));
    scenario = update(scenario, json!({"taskDefinition": "web:2"}))
        .becomes(60, "it pauses with both revisions", move |state| {
            pauses(state)?;
            let counts = (of_revision(state, 1), of_revision(state, 2));
            is(counts == (3, 3), || format!("{counts:?}"))
        })
        .after(600)
        .call_with("ContinueServiceDeployment", move |state| go_on(state, &arn))
        .becomes(120, "it has gone on", ended(ServiceDeploymentStatus::Successful))
        .becomes(120, "the new revision runs alone", steady(3, 2));
    scenario = update(scenario, json!({"taskDefinition": "web:1"}))
        .becomes(60, "it pauses again", pauses)
        .call_with(
            "StopServiceDeployment",
            move |state| json!({"serviceDeploymentArn": deployment(state).map(arn).ok()}),
        )
        .becomes(120, "it has gone back", ended(ServiceDeploymentStatus::RollbackSuccessful))
        .becomes(120, "what ran before runs alone", steady(3, 2));
    passes(scenario);
}

fn go_on(state: &Cluster, arn: &impl Fn(&ServiceDeploymentRow) -> String) -> Value {
    let Ok(row) = deployment(state) else { return Value::Null };
    let hook = row.stage.iter().flat_map(|stage| &stage.hooks).map(|hook| hook.id.clone()).next_back();
    json!({"serviceDeploymentArn": arn(row), "hookId": hook})
}

/// On each container instance the daemon was RUNNING before any other task was placed, and is there until the last one has
/// stopped.
fn first_and_last(state: &Cluster) -> Result<(), String> {
    for row in state.instances() {
        let here = || state.tasks().filter(|task| task.instance == Some(row.id));
        let (daemons, others): (Vec<_>, Vec<_>) = here().partition(|task| task.daemon.is_some());
        let started = daemons.iter().filter_map(|task| task.started_at).min();
        let early = others.iter().find(|task| started.is_none_or(|at| at > task.created_at));
        if let Some(task) = early {
            return Err(format!("task {} came to {} before the daemon ran", task.id, row.id));
        }
        let is_gone = daemons.iter().all(|task| task.desired == Desired::Stopped);
        if let Some(task) = others.iter().find(|task| is_gone && task.last != TaskStatus::Stopped) {
            return Err(format!("the daemon goes from {} before task {}", row.id, task.id));
        }
    }
    Ok(())
}

#[test]
fn a_managed_daemon_is_the_first_on_a_host_and_the_last() {
    let scenario = Scenario::new().machine(BIG, "a", "one").machine(BIG, "b", "one");
    let scenario = providers(families(scenario), &["one"]);
    let app = json!({"name": "app", "image": "i", "cpu": 100, "memory": 100});
    let daemon = json!({
        "daemonName": "d", "clusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/c", "critical": true,
        "daemonTaskDefinitionArn": "watch:1", "capacityProviderArns": ["one"],
    });
    let on_both = |state: &Cluster| {
        let daemon = DaemonName::from("d");
        let daemons = state.tasks_of_daemon(&daemon);
        let hosts: BTreeSet<_> =
            daemons.filter(|task| task.last == TaskStatus::Running).map(|task| task.instance).collect();
        is(hosts.len() == 2, || format!("{hosts:?}"))
    };
    let mut scenario = scenario
        .call("RegisterDaemonTaskDefinition", json!({"family": "watch", "containerDefinitions": [app]}))
        .call("CreateDaemon", daemon)
        .becomes(300, "both hosts have the daemon", on_both)
        .holds("the daemon comes first and goes last", first_and_last);
    let strategy = json!([{"capacityProvider": "one", "weight": 1}]);
    scenario = create(scenario, 4, json!({"capacityProviderStrategy": strategy})).becomes(
        120,
        "the service runs",
        steady(4, 1),
    );
    scenario = drain(scenario, "a").becomes(300, "the drained host is empty", |state| {
        let row = host(state, "a").ok_or("there is no host")?;
        let left = state.tasks_on(&row.id).count();
        is(left == 0, || format!("{left} tasks are there"))
    });
    // A host that comes back is another one: the daemon is the first there too.
    scenario = scenario.order(0, Order::Vanishes(1_000)).becomes(300, "a new host has the daemon", on_both);
    passes(scenario.becomes(120, "the service runs", steady(4, 1)));
}

#[test]
fn the_tasks_of_a_lost_agent_are_replaced_and_stopped_when_it_is_back() {
    let mut scenario =
        families(Scenario::new().losing_after(60).machine(BIG, "a", None).machine(BIG, "b", None));
    let percents = json!({"minimumHealthyPercent": 100, "maximumPercent": 200});
    let more = json!({"deploymentConfiguration": percents, "availabilityZoneRebalancing": "DISABLED"});
    scenario = create(scenario, 4, more)
        .becomes(120, "it runs on both", in_zones(&[2, 2]))
        .order(0, Order::AgentDies(600_000))
        .becomes(20, "the agent is away", |state| {
            let away = host(state, "a").is_some_and(|row| !row.agent_connected);
            is(away, || "it is there".to_owned())
        })
        .after(30)
        .becomes(1, "nothing has changed so soon", in_zones(&[2, 2]))
        .becomes(120, "they are replaced", in_zones(&[4]))
        .becomes(60, "those that were lost are known to run on", |state| {
            let row = host(state, "a").ok_or("there is no host")?;
            let left = state.tasks_on(&row.id).filter(|task| task.desired == Desired::Stopped).count();
            is(left == 2, || format!("{left} are"))
        })
        .becomes(700, "the agent is back and has stopped them", |state| {
            let row = host(state, "a").ok_or("there is no host")?;
            let left = state.tasks_on(&row.id).count();
            is(row.agent_connected && left == 0, || format!("{left} are there"))
        });
    passes(scenario.becomes(60, "it is steady", steady(4, 1)));
}

#[test]
fn task_sets_are_scaled_in_percent_of_their_service() {
    let scales = |counts: &'static [(i32, usize)]| {
        move |state: &Cluster| {
            let has: Vec<(i32, usize)> = [1, 2]
                .into_iter()
                .map(|revision| (revision, of_revision(state, revision)))
                .filter(|(_, count)| *count > 0)
                .collect();
            let pending = state
                .tasks()
                .filter(|task| task.desired == Desired::Running && task.last != TaskStatus::Running)
                .count();
            is(has == counts && pending == 0, || format!("{has:?}"))
        }
    };
    let set = |revision: i32, percent: i64| {
        json!({"cluster": "c", "service": "s", "taskDefinition": format!("web:{revision}"),
            "scale": {"unit": "PERCENT", "value": percent}})
    };
    let named = |revision: i32, more: Value| {
        move |state: &Cluster| {
            let name = ServiceName::from("s");
            let id = state
                .task_sets(&name)
                .find(|set| set.task_definition.revision == revision)
                .map(|set| set.id.to_string());
            let mut input = json!({"cluster": "c", "service": "s", "taskSet": id});
            if more.is_null() {
                input = json!({"cluster": "c", "service": "s", "primaryTaskSet": id});
            }
            with(input, more.clone())
        }
    };
    let scale = |percent: i64| json!({"scale": {"unit": "PERCENT", "value": percent}});
    let external = json!({"cluster": "c", "serviceName": "s", "desiredCount": 10, "deploymentController": {"type": "EXTERNAL"}});
    let scenario = families(Scenario::new().machine(BIG, "a", None).machine(BIG, "b", None));
    let scenario = scenario
        .call("CreateService", external)
        .call("CreateTaskSet", set(1, 100))
        .becomes(120, "the first one has all", scales(&[(1, 10)]))
        .call_with("UpdateServicePrimaryTaskSet", named(1, Value::Null))
        .call("CreateTaskSet", set(2, 25))
        .becomes(120, "the second one has a quarter, rounded up", scales(&[(1, 10), (2, 3)]))
        .call_with("UpdateTaskSet", named(1, scale(50)))
        .call_with("UpdateTaskSet", named(2, scale(75)))
        .becomes(120, "each has its share", scales(&[(1, 5), (2, 8)]))
        .call("UpdateService", json!({"cluster": "c", "service": "s", "desiredCount": 4}))
        .becomes(120, "of fewer", scales(&[(1, 2), (2, 3)]))
        .call_with("UpdateServicePrimaryTaskSet", named(2, Value::Null))
        .call_with("UpdateTaskSet", named(1, scale(0)))
        .call_with("DeleteTaskSet", named(1, json!({"force": false})))
        .becomes(120, "the first one has gone", move |state| {
            scales(&[(2, 3)])(state)?;
            let sets = state.task_sets(&ServiceName::from("s")).count();
            is(sets == 1, || format!("{sets} task sets"))
        });
    passes(scenario);
}

#[test]
fn tasks_of_managed_instances_wait_until_one_comes() {
    let template = json!({
        "ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/p",
        "networkConfiguration": {"subnets": ["subnet-12345678"]},
    });
    let managed = json!({"name": "managed", "cluster": "c", "managedInstancesProvider": {
        "infrastructureRoleArn": "arn:aws:iam::000000000000:role/r", "instanceLaunchTemplate": template,
    }});
    let run = json!({
        "cluster": "c", "taskDefinition": "web:1", "count": 2,
        "capacityProviderStrategy": [{"capacityProvider": "managed", "weight": 1}],
    });
    let wait = |state: &Cluster| {
        let all = state.tasks().filter(|task| task.is_provisioning() && task.instance.is_none());
        let waiting = all.count();
        is(waiting == 2, || format!("{waiting} wait"))
    };
    let scenario = families(Scenario::new().machine(BIG, "a", "managed").machine(BIG, "b", None))
        .call("CreateCapacityProvider", managed)
        .order(0, Order::Vanishes(300_000))
        .after(2)
        .call_with("DeregisterContainerInstance", |state| {
            let id = host(state, "a").map(|row| row.id.to_string());
            json!({"cluster": "c", "containerInstance": id, "force": true})
        })
        .call("RunTask", run)
        .becomes(5, "they wait for room", wait)
        .after(200)
        .becomes(1, "they wait still, though another host is free", wait);
    passes(scenario.becomes(300, "they run on the instance that came", |state| {
        let row = host(state, "a").ok_or("there is no host")?;
        let there = state.tasks_on(&row.id).filter(|task| task.last == TaskStatus::Running).count();
        is(there == 2, || format!("{there} run there"))
    }));
}
