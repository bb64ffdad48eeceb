//! Rows of services as version 1 wrote them, with what they said and their client token within, and without revisions: they are taken over one
//! service at a time, and nothing is lost whenever all ends on the way.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::{
    service::{delete::delete_service, describe::describe_services, events},
    tags::change,
    testing::Changes,
};

/// All rows, as they lie in a store.
type Disk = BTreeMap<String, Vec<u8>>;

fn in_version_1(state: &Cluster, row: &ServiceRow) -> Vec<u8> {
    let mut value = serde_json::to_value(row).unwrap();
    let event = |row: &ServiceEventRow| json!({"id": row.id, "at": row.at, "message": row.message});
    value["events"] = state.service_events(&row.name).map(|row| event(row)).collect();
    let token = state.service_token(&row.name);
    value["client_token"] = json!(token.map(|_| "t"));
    value["request"] = json!(token.map_or("of no token", |token| token.request.as_str()));
    format!("{{\"v\":1,\"row\":{value}}}").into_bytes()
}

/// What version 1 would have written of a state.
fn disk(state: &Cluster) -> Disk {
    let mut disk = Disk::new();
    for row in state.rows() {
        let value = match &row {
            Row::ServiceEvent(_) | Row::ServiceToken(_) => continue,
            Row::ServiceRevision(_) | Row::ServiceDeployment(_) => continue,
            Row::Service(row) => in_version_1(state, row),
            row => row.encode(),
        };
        disk.insert(Row::path(&row.key()), value);
    }
    disk
}

/// What a start makes of it.
fn read(disk: &Disk) -> Cluster {
    let mut state = Cluster::of(ClusterRow::plain("c"));
    for (path, value) in disk {
        state.apply(&Change::Put(Row::decode(path, value).unwrap()));
    }
    state
}

fn commit<'a>(disk: &mut Disk, changes: impl IntoIterator<Item = &'a Change>) {
    for change in changes {
        let path = Row::path(&change.key());
        match change {
            Change::Put(row) => drop(disk.insert(path, row.encode())),
            Change::Delete(_) => drop(disk.remove(&path)),
        }
    }
}

/// All that users can see of the services.
fn seen(world: &World, state: &Cluster) -> Vec<Value> {
    let names: Vec<String> = state.services().map(|row| row.name.0.clone()).collect();
    let request = json!({"services": names, "include": ["TAGS"]});
    let reply = describe_services(state, &world.ctx, &crate::testing::from(request)).unwrap();
    reply.services.unwrap().iter().map(|service| serde_json::to_value(service).unwrap()).collect()
}

/// How many rows of services are of version 1.
fn of_version_1(disk: &Disk) -> usize {
    let services = disk.iter().filter(|(path, _)| path.starts_with("service/"));
    services.filter(|(_, value)| value.starts_with(b"{\"v\":1,")).count()
}

/// One service that has said all that it may, one that said little, and one that is INACTIVE; the first two made with a
/// client token.
fn filled() -> World {
    let mut world = World::new();
    world.host(1000);
    for name in ["gone", "long", "short"] {
        let mut request = json!({"serviceName": name, "taskDefinition": "web", "desiredCount": 1});
        if name != "short" {
            request["clientToken"] = json!("t");
        }
        world.call(create_service, request).unwrap();
    }
    world.obey();
    for n in 0..120 {
        say(&mut world, "long", &format!("{n}"));
    }
    // What the event bus hears of too.
    say(&mut world, "long", events::STEADY);
    world.call(delete_service, json!({"service": "gone", "force": true})).unwrap();
    world.obey();
    world
}

fn say(world: &mut World, service: &str, text: &str) {
    let said = world.run(|txn| {
        events::add(txn, &service.into(), text);
        Ok(())
    });
    said.unwrap();
}

/// Runs a batch that does nothing but what is left to do.
fn settle(world: &mut World) -> Changes {
    world.batch(|_, _, _| ());
    world.stored.clone()
}

#[test]
fn rows_of_version_1_are_taken_over_one_service_at_a_time() {
    let mut world = filled();
    let before = seen(&world, &world.state);
    assert_eq!(before[1]["events"].as_array().unwrap().len(), crate::limits::SERVICE_EVENTS);
    let mut disk = disk(&world.state);
    assert_eq!(of_version_1(&disk), 3);
    world.state = read(&disk);
    assert_eq!(seen(&world, &world.state), before, "as soon as they are read");
    assert_eq!(world.state.agenda().wake_at(), Some(Timestamp(0)), "it is not put off");
    let changes = settle(&mut world);
    // Whatever of it the end of all lets happen.
    for (left, service) in [(2, "long"), (1, "gone"), (0, "short")] {
        let of = |key: &Key| match key {
            Key::Service(name) | Key::ServiceToken(name) => name.0 == service,
            Key::ServiceEvent((name, _)) | Key::ServiceDeployment((name, _)) => name.0 == service,
            Key::ServiceRevision((name, _)) => name.0 == service,
            other => panic!("{other:?} has nothing to do with it"),
        };
        commit(&mut disk, changes.iter().filter(|(key, _)| of(key)).map(|(_, change)| change));
        assert_eq!(of_version_1(&disk), left);
        assert_eq!(seen(&world, &read(&disk)), before, "{service} is taken over");
        assert_eq!(crate::invariants::check(&read(&disk)), Vec::<String>::new());
    }
    let again = read(&disk);
    assert!(again.rows().eq(world.state.rows()));
    assert_eq!(again.agenda().wake_at(), world.state.agenda().wake_at());
    world.state = again;
    assert_eq!(settle(&mut world), Changes::new(), "there is nothing left to do");
    // Its client token makes no other one.
    let request =
        json!({"serviceName": "long", "taskDefinition": "web", "desiredCount": 1, "clientToken": "t"});
    world.call(create_service, request).unwrap();
    assert_eq!(world.changed, []);
    say(&mut world, "long", "more");
    assert_eq!(world.events("long").last().unwrap(), "more");
    assert_eq!(world.service("long").events.unwrap().len(), crate::limits::SERVICE_EVENTS);
}

/// What a command changes before its turn takes the service over first.
#[test]
fn a_change_of_a_service_of_version_1_takes_all_of_it_along() {
    type Command = fn(&mut Txn) -> Result<(), wire::Error>;
    let says: Command = |txn| {
        events::add(txn, &"long".into(), "more");
        Ok(())
    };
    let tags: Command = |txn| {
        let arn = "arn:aws:ecs:us-east-1:000000000000:service/c/long";
        change(txn, arn, |tags| {
            tags.push(Tag { key: "k".to_owned(), value: None });
            Ok(())
        })
    };
    let goes: Command = |txn| {
        crate::service::delete::delete_service(
            txn,
            crate::testing::from(json!({"service": "long", "force": true})),
        )
        .map(drop)
    };
    for command in [says, tags, goes] {
        let mut world = filled();
        let mut disk = disk(&world.state);
        let before = read(&disk);
        let ports = Ports {
            networks: Arc::new(state::contract::NoNetworks),
            account: Arc::new(world.account.clone()),
            listened: true,
            lost_after_ms: None,
            alarms: Arc::new(world.alarms.clone()),
            keeps: None,
        };
        let mut state = before.clone();
        let mut txn = Txn::new(&mut state, &ports, &world.ctx, &mut world.ids);
        command(&mut txn).unwrap();
        Cluster::announce(&mut txn, &before);
        commit(&mut disk, txn.changes());
        let (after, again) = (txn.state.clone(), read(&disk));
        assert_eq!(seen(&world, &again), seen(&world, &after));
        assert_eq!(of_version_1(&disk), 2);
        let told = after.outgoing().waiting().count();
        assert_eq!(told, 0, "what was said long ago is not told again");
        assert_eq!(crate::invariants::check(&again), Vec::<String>::new());
    }
}

#[test]
fn services_that_have_said_much_are_taken_over_in_steps_that_fit() {
    let mut world = World::new();
    wait_for_room(&mut world, 40);
    let names: Vec<ServiceName> = world.state.services().map(|row| row.name.clone()).collect();
    for service in names {
        for number in 1..=100 {
            let (id, at, message) = (format!("e{number}"), world.ctx.now, "x".repeat(4000));
            let row = ServiceEventRow { service: service.clone(), number, id, at, message };
            world.state.apply(&Change::Put(Row::from(row)));
        }
    }
    world.state = read(&disk(&world.state));
    let mut steps = 0;
    while world.state.agenda().wake_at() == Some(Timestamp(0)) {
        world.tick();
        steps += 1;
    }
    assert!((2..=40).contains(&steps), "{steps}");
    assert!(world.state.services().all(|row| !world.state.is_unwritten(&row.name)));
}
