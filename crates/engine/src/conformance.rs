//! What every engine must do, as a suite that each driver runs: `native`, `fake`, and those to come.
//!
//! It uses an image with `sh`, `sleep`, `echo`, `true` and `false`, and only what can be seen through
//! the trait. It panics where an engine does not conform, as tests do.

mod life;
mod network;
mod output;
mod rules;

use std::time::Duration;

use crate::{ContainerId, ContainerSpec, Engine, Event, Exit, Isolation, NetworkMode, Phase, TaskSpec};

/// What the suite is given.
#[derive(Debug, Clone)]
pub struct Given {
    /// An image that is present.
    pub image: String,
}

/// The longest that anything may take.
const WAIT: Duration = Duration::from_secs(30);

/// What a run of the suite is about.
struct Setting {
    image: String,
    isolation: Isolation,
}

impl Setting {
    /// How a plain program ends as PID 1 that is asked to and does nothing about it. Linux keeps the signal from it until
    /// it is killed; gVisor lets it end.
    fn code_of_a_plain_stop(&self) -> i32 {
        match self.isolation {
            Isolation::Gvisor => 128 + libc::SIGTERM,
            Isolation::Shared | Isolation::Namespaces => 128 + libc::SIGKILL,
        }
    }
}

/// Runs the whole suite. Each part leaves the engine as it found it, but for the last, after which it is of no use.
///
/// # Panics
/// Where the engine does not conform.
pub async fn run(engine: &dyn Engine, given: &Given) {
    run_within(engine, given, Isolation::Shared).await;
}

/// [`run`] with tasks behind a wall that the engine has.
///
/// # Panics
/// Where the engine does not conform.
pub async fn run_within(engine: &dyn Engine, given: &Given, isolation: Isolation) {
    assert_eq!(engine.isolation(isolation), Ok(()));
    let given = &Setting { image: given.image.clone(), isolation };
    life::ends_with_its_code(engine, given).await;
    life::starts_again(engine, given).await;
    life::stops_or_is_killed(engine, given).await;
    life::removes_what_runs(engine, given).await;
    life::runs_commands(engine, given).await;
    output::is_read_from_any_cursor(engine, given).await;
    output::goes_on_after_a_restart(engine, given).await;
    output::stays_when_the_task_is_released(engine, given).await;
    rules::every_call_may_be_repeated(engine, given).await;
    rules::what_is_not_there_is_said(engine, given).await;
    rules::failures_have_their_names(engine, given).await;
    rules::a_list_shows_everything(engine, given).await;
    if engine.capabilities().task_interfaces {
        network::a_task_has_an_interface_that_is_its_own(engine, given).await;
        network::an_address_is_one_task_s_until_it_is_given_back(engine, given).await;
    } else {
        network::what_cannot_be_carried_is_refused(engine, given).await;
    }
    rules::a_purge_leaves_nothing(engine, given).await;
}

fn spec(given: &Setting, command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        image: given.image.clone(),
        command: Some(command.iter().map(|w| (*w).to_owned()).collect()),
        network: if given.isolation.is_shared() { NetworkMode::Host } else { NetworkMode::None },
        ..ContainerSpec::default()
    }
}

/// A task that is to be.
fn task_spec(given: &Setting) -> TaskSpec {
    let id = uuid::Uuid::new_v4().simple().to_string();
    TaskSpec { id, isolation: given.isolation, ..TaskSpec::default() }
}

/// A task that is prepared, and the id of its container `c`.
async fn task(engine: &dyn Engine, given: &Setting) -> ContainerId {
    let spec = task_spec(given);
    engine.prepare_task(&spec).await.expect("a task is prepared");
    ContainerId { task: spec.id, name: "c".to_owned() }
}

/// A container that was started.
async fn started(engine: &dyn Engine, given: &Setting, command: &[&str]) -> ContainerId {
    let id = task(engine, given).await;
    engine.create(&id, &spec(given, command)).await.expect("a container is created");
    engine.start(&id).await.expect("a container is started");
    id
}

/// Waits for a container's end by looking at it.
async fn ended(engine: &dyn Engine, id: &ContainerId) -> Exit {
    let looks = async {
        loop {
            let state = engine.inspect(id).await.expect("it can be looked at").expect("it is there");
            if let Phase::Exited(exit) = state.phase {
                return exit;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(WAIT, looks).await.expect("it ends in time")
}

/// Waits for the event of a container's end.
async fn told(events: &mut tokio::sync::broadcast::Receiver<Event>, of: &ContainerId) -> Exit {
    let listens = async {
        loop {
            match events.recv().await.expect("events go on") {
                Event::Exited { id, exit } if id == *of => return exit,
                _ => {}
            }
        }
    };
    tokio::time::timeout(WAIT, listens).await.expect("it is told in time")
}

async fn remove(engine: &dyn Engine, id: &ContainerId) {
    engine.remove_task(&id.task).await.expect("a task is removed");
}
