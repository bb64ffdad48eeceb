//! Lists: each gives what a look at every row would give, and looks at no more rows than its page and its filters name.

use proptest::prelude::*;
use serde_json::{Value, json};
use state::Id128;

use super::*;
use crate::{
    instance::{attributes::list_attributes, describe::list_container_instances},
    placement::query,
    service::list::list_services,
    task::list::list_tasks,
    testing::from,
};

/// One of each kind of row, to make others of.
struct Plain {
    world: World,
    task: TaskRow,
    host: InstanceRow,
    service: ServiceRow,
}

fn plain() -> Plain {
    let mut world = World::new();
    let host = InstanceId::parse(&world.host(1000)).unwrap();
    world
        .call(create_service, json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 0}))
        .unwrap();
    world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
    let task = world.state.tasks().next().unwrap().as_ref().clone();
    let (host, service) = (world.state.instance(&host).unwrap(), world.state.service(&"s".into()).unwrap());
    let (host, service) = (host.as_ref().clone(), service.as_ref().clone());
    for key in [Key::Task(task.id), Key::Service("s".into()), Key::Instance(host.id)] {
        world.state.apply(&Change::Delete(key));
    }
    Plain { world, task, host, service }
}

fn put(world: &mut World, row: impl Into<Row>) {
    world.state.apply(&Change::Put(row.into()));
}

/// A page, and where the next one begins.
type Page = (Vec<String>, Option<String>);

/// All pages of a list; the most rows that one of them looked at.
fn pages(state: &Cluster, request: &Value, list: fn(&Cluster, Value) -> Page) -> (Vec<String>, usize) {
    let (mut all, mut token, mut most) = (Vec::new(), None, 0);
    loop {
        let mut request = request.clone();
        request["nextToken"] = json!(token);
        looks::taken();
        let (items, next) = list(state, request);
        most = most.max(looks::taken());
        all.extend(items);
        if next.is_none() {
            return (all, most);
        }
        token = next;
    }
}

fn tasks(state: &Cluster, request: Value) -> Page {
    let reply = list_tasks(state, &crate::testing::ctx(), &from(request)).unwrap();
    (reply.task_arns.unwrap(), reply.next_token)
}

fn instances(state: &Cluster, request: Value) -> Page {
    let reply = list_container_instances(state, &crate::testing::ctx(), &from(request)).unwrap();
    (reply.container_instance_arns.unwrap(), reply.next_token)
}

fn services(state: &Cluster, request: Value) -> Page {
    let reply = list_services(state, &crate::testing::ctx(), &from(request)).unwrap();
    (reply.service_arns.unwrap(), reply.next_token)
}

fn attributes(state: &Cluster, mut request: Value) -> Page {
    request["targetType"] = json!("container-instance");
    let reply = list_attributes(state, &crate::testing::ctx(), &from(request)).unwrap();
    let shown = |a: ecs_model::Attribute| format!("{} {} {:?}", a.target_id.unwrap(), a.name, a.value);
    (reply.attributes.unwrap().into_iter().map(shown).collect(), reply.next_token)
}

/// Task `n` of a cluster: every combination of what lists ask for comes about.
fn task(plain: &TaskRow, n: u128, hosts: u128) -> TaskRow {
    let mut row = TaskRow { id: TaskId(Id128(n)), ..plain.clone() };
    row.instance = Some(InstanceId(Id128(n / 2 % hosts)));
    row.task_definition.family = format!("f{}", n % 3);
    row.started_by = (!n.is_multiple_of(4)).then(|| format!("by{}", n % 4));
    row.service = n.is_multiple_of(5).then(|| ("s1".into(), DeploymentId(1)));
    if n.is_multiple_of(7) {
        row = crate::task::lifecycle::step(
            &row,
            &crate::task::lifecycle::Happening::StopWanted {
                code: TaskStopCode::UserInitiated,
                reason: "x".to_owned(),
            },
            Timestamp(1),
        );
    }
    if n.is_multiple_of(14) {
        let report =
            crate::task::lifecycle::Report { status: Some(TaskStatus::Stopped), ..Default::default() };
        row = crate::task::lifecycle::step(
            &row,
            &crate::task::lifecycle::Happening::Reported(report),
            Timestamp(2),
        );
    }
    row
}

fn host(plain: &InstanceRow, n: u128) -> InstanceRow {
    let mut row = InstanceRow { id: InstanceId(Id128(n)), ..plain.clone() };
    let attribute = |name: &str, value: Option<String>| Attribute { name: name.to_owned(), value };
    row.attributes.push(attribute("stack", Some(format!("v{}", n % 3))));
    if n.is_multiple_of(4) {
        row.attributes.push(attribute("bare", None));
    }
    row.status = match n % 11 {
        3 => InstanceStatus::Inactive,
        7 => InstanceStatus::Draining,
        _ => InstanceStatus::Active,
    };
    row.agent_connected = !n.is_multiple_of(6);
    row.ec2_instance_id = Some(format!("i-{}", n % 20));
    row
}

fn filled(hosts: u128, count: u128) -> Cluster {
    let Plain { mut world, task: plain_task, host: plain_host, service } = plain();
    (0..hosts).for_each(|n| put(&mut world, host(&plain_host, n)));
    (0..count).for_each(|n| put(&mut world, task(&plain_task, n, hosts)));
    for n in 0..40u8 {
        let mut row = ServiceRow { name: ServiceName(format!("s{n}")), ..service.clone() };
        row.scheduling = if n.is_multiple_of(3) { Scheduling::Daemon } else { Scheduling::Replica };
        row.status = match n % 5 {
            2 => ServiceStatus::Inactive,
            3 => ServiceStatus::Draining,
            _ => ServiceStatus::Active,
        };
        put(&mut world, row);
    }
    world.state
}

/// Requests of ListTasks that ask for something, the rare too.
fn questions() -> Vec<Value> {
    let mut all = Vec::new();
    for status in [None, Some("STOPPED"), Some("PENDING")] {
        for filters in [
            json!({}),
            json!({"family": "f1"}),
            json!({"family": "absent"}),
            json!({"startedBy": "by2"}),
            json!({"serviceName": "s1"}),
            json!({"serviceName": "s1", "launchType": "EC2"}),
            json!({"family": "f2", "launchType": "EC2"}),
            json!({"containerInstance": Id128(3).to_string()}),
            json!({"containerInstance": Id128(3).to_string(), "family": "f0", "launchType": "EC2"}),
            json!({"launchType": "EC2"}),
            json!({"launchType": "FARGATE"}),
        ] {
            let mut request = filters;
            request["maxResults"] = json!(7);
            request["desiredStatus"] = json!(status);
            all.push(request);
        }
    }
    all
}

#[test]
fn lists_give_what_a_look_at_every_row_would() {
    let state = filled(23, 500);
    for request in questions() {
        let text = |member: &str| request[member].as_str();
        let naive = state.tasks().filter(|row| {
            text("desiredStatus").unwrap_or("RUNNING") == row.desired.as_str()
                && text("family").is_none_or(|of| row.task_definition.family == of)
                && text("startedBy").is_none_or(|by| row.started_by.as_deref() == Some(by))
                && text("serviceName").is_none_or(|of| row.service.as_ref().is_some_and(|(s, _)| s.0 == of))
                && text("containerInstance").is_none_or(|on| row.instance.unwrap().to_string() == on)
                && text("launchType").is_none_or(|of| row.launch_type.as_str() == of)
        });
        let naive: Vec<String> = naive.map(|row| row.id.to_string()).collect();
        let (found, _) = pages(&state, &request, tasks);
        let found: Vec<String> = found.iter().map(|arn| arn.rsplit('/').next().unwrap().to_owned()).collect();
        assert_eq!(found, naive, "{request}");
    }
    let live: Vec<&Arc<InstanceRow>> =
        state.instances().filter(|row| row.status != InstanceStatus::Inactive).collect();
    for (name, value) in
        [(None, None), (Some("stack"), None), (Some("stack"), Some("v1")), (Some("bare"), None)]
    {
        let mut naive = Vec::new();
        for row in &live {
            let mut of: Vec<_> = row.attributes.iter().collect();
            of.sort_by_key(|a| &a.name);
            let keeps = |a: &&&Attribute| {
                name.is_none_or(|name| a.name == name) && (value.is_none() || a.value.as_deref() == value)
            };
            let arn = crate::arn::container_instance(&crate::testing::ctx(), "c", row.id);
            naive.extend(of.iter().filter(keeps).map(|a| format!("{arn} {} {:?}", a.name, a.value)));
        }
        let request = json!({"attributeName": name, "attributeValue": value, "maxResults": 3});
        assert_eq!(pages(&state, &request, attributes).0, naive, "{request}");
    }
    for (scheduling, launch_type, want) in [
        (None, None, 24),
        (Some("DAEMON"), None, 9),
        (Some("REPLICA"), Some("EC2"), 15),
        (None, Some("FARGATE"), 0),
    ] {
        let request = json!({"schedulingStrategy": scheduling, "launchType": launch_type, "maxResults": 3});
        let (found, _) = pages(&state, &request, services);
        assert_eq!(found.len(), want, "{request}");
        assert!(found.is_sorted());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_filter_finds_what_it_holds_of(
        words in prop::collection::vec(prop::sample::select(vec![
            "attribute:stack == v1", "attribute:stack != v1", "attribute:stack in [v0, v2]", "attribute:bare exists",
            "attribute:bare !exists", "attribute:bare == v1", "attribute:stack =~ v[01]", "agentConnected == true",
            "agentConnected == false", "ec2InstanceId == i-7", "ec2InstanceId in [i-1, i-12]", "task:group == family:web",
            "task:group == other", "runningTasksCount > 0", "not(attribute:stack == v1)",
        ]), 1..4),
        joints in prop::collection::vec(prop::sample::select(vec![" and ", " or "]), 3),
        status in prop::sample::select(vec![None, Some("ACTIVE"), Some("DRAINING")]),
    ) {
        let state = filled(47, 60);
        let mut text = words[0].to_owned();
        for (word, joint) in words[1..].iter().zip(joints) {
            text = format!("{text}{joint}{word}");
        }
        let expression = query::parse(&text).unwrap();
        let naive = state.instances().filter(|row| match status {
            Some(status) => row.status.as_str() == status,
            None => row.status != InstanceStatus::Inactive,
        });
        let naive: Vec<String> = naive.filter(|row| expression.matches(&state, row))
            .map(|row| row.id.to_string()).collect();
        let (found, _) = pages(&state, &json!({"filter": text, "status": status, "maxResults": 5}), instances);
        let found: Vec<String> = found.iter().map(|arn| arn.rsplit('/').next().unwrap().to_owned()).collect();
        prop_assert_eq!(found, naive, "{}", text);
    }
}

#[test]
fn a_page_looks_at_what_it_shows() {
    let (few, many) = (filled(22, 700), filled(2200, 10_000));
    // Rare ones, behind all others.
    let rare = |mut state: Cluster, n: u128| {
        let of = state.tasks().next().unwrap().as_ref().clone();
        let mut row = TaskRow { id: TaskId(Id128(n)), started_by: Some("rare".to_owned()), ..of };
        row.task_definition.family = "rare".to_owned();
        state.apply(&Change::Put(Row::from(row)));
        let mut host = host(state.instances().last().unwrap(), n);
        host.attributes.retain(|a| a.name != "stack");
        host.attributes.push(Attribute { name: "stack".to_owned(), value: Some("rare".to_owned()) });
        host.status = InstanceStatus::Draining;
        state.apply(&Change::Put(Row::from(host)));
        state
    };
    let (few, many) = (rare(few, 1 << 40), rare(many, 1 << 40));
    let compare = |request: &Value, list, page: usize| {
        let (of_few, of_many) = (pages(&few, request, list).1, pages(&many, request, list).1);
        let most = of_few.max(page);
        assert!(of_many <= most, "{request} looks at {of_few} of few, at {of_many} of many");
    };
    for mut request in questions() {
        request["maxResults"] = json!(20);
        compare(&request, tasks, 400);
    }
    for request in [
        json!({"family": "rare", "desiredStatus": "STOPPED"}),
        json!({"startedBy": "rare", "desiredStatus": "STOPPED"}),
    ] {
        compare(&request, tasks, 20);
        assert_eq!(pages(&many, &request, tasks).0.len(), 1);
    }
    for request in [
        json!({"status": "DRAINING", "maxResults": 2}),
        json!({"filter": "attribute:stack == rare"}),
        json!({"filter": "attribute:stack == rare and agentConnected == true", "status": "DRAINING"}),
        json!({"filter": "ec2InstanceId == i-rare"}),
        json!({"filter": "task:group == rare"}),
        json!({"maxResults": 5}),
    ] {
        compare(&request, instances, 40);
    }
    for request in [
        json!({"attributeName": "stack", "attributeValue": "rare"}),
        json!({"attributeName": "absent"}),
        json!({"attributeName": "stack", "maxResults": 5}),
        json!({"maxResults": 5}),
    ] {
        compare(&request, attributes, 40);
    }
}

#[test]
fn what_goes_on_of_a_started_by_is_counted_without_what_has_ended() {
    let state = filled(5, 200);
    let going = state.tasks_by(TaskFacet::StartedBy("by2"), Phase::LIVE).count();
    let naive =
        |row: &&Arc<TaskRow>| row.started_by.as_deref() == Some("by2") && row.last != TaskStatus::Stopped;
    assert_eq!(going, state.tasks().filter(naive).count());
    assert!(going > 0);
}
