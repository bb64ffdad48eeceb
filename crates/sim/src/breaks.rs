//! Deliberate bugs, of which a world has one or none: what makes the simulator worth its while finds each of them. All are
//! at the seams, in what is simulated around the program; a planner that goes too far there where its steps are looked at.

use ::ecs::{
    Cluster,
    cluster::{
        Change, DeploymentControllerType, DeploymentId, Desired, Keeps, Key, Row, ServiceName, Stop, TaskId,
        TaskRow, TaskStopCode, tally::Standing,
    },
};
use serde_json::{Value, json};
use state::{Delta, Domain, Id128};

use crate::{checks, world::World};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    SyncSkipped,
    AnswersEarly,
    FailureHidden,
    HalfCommits,
    TornBelieved,
    DeletesForgotten,
    BusNotAsked,
    EventsDropped,
    EventsStale,
    CalledTwice,
    StopsUnheard,
    EndsUntold,
    AssignmentsCopied,
    AssignmentsDropped,
    ClockStands,
    UpdatesSwallowed,
    TargetsSkipped,
    ProtectionsSwallowed,
    ScalesSwallowed,
    StrategiesDropped,
    ContinuesSwallowed,
    DaemonsUnheard,
    ZonesMixed,
    HaltsSwallowed,
    ProvidersSwallowed,
    LedgerSyncSkipped,
    AcknowledgedEarly,
    StartedEarly,
    KeptDropped,
    KeptOverfull,
    ServicesCut,
    ServicesOverfull,
    RevisionsCut,
    RevisionsOverfull,
    SetsCut,
    SetsOverfull,
    ReleasesSwallowed,
}

impl Break {
    /// All of them, by name.
    pub const ALL: &[(&str, Break)] = &[
        ("sync-skipped", Break::SyncSkipped),
        ("answers-early", Break::AnswersEarly),
        ("failure-hidden", Break::FailureHidden),
        ("half-commits", Break::HalfCommits),
        ("torn-believed", Break::TornBelieved),
        ("deletes-forgotten", Break::DeletesForgotten),
        ("bus-not-asked", Break::BusNotAsked),
        ("events-dropped", Break::EventsDropped),
        ("events-stale", Break::EventsStale),
        ("called-twice", Break::CalledTwice),
        ("stops-unheard", Break::StopsUnheard),
        ("ends-untold", Break::EndsUntold),
        ("assignments-copied", Break::AssignmentsCopied),
        ("assignments-dropped", Break::AssignmentsDropped),
        ("clock-stands", Break::ClockStands),
        ("updates-swallowed", Break::UpdatesSwallowed),
        ("targets-skipped", Break::TargetsSkipped),
        ("protections-swallowed", Break::ProtectionsSwallowed),
        ("scales-swallowed", Break::ScalesSwallowed),
        ("strategies-dropped", Break::StrategiesDropped),
        ("continues-swallowed", Break::ContinuesSwallowed),
        ("daemons-unheard", Break::DaemonsUnheard),
        ("zones-mixed", Break::ZonesMixed),
        ("halts-swallowed", Break::HaltsSwallowed),
        ("providers-swallowed", Break::ProvidersSwallowed),
        ("ledger-sync-skipped", Break::LedgerSyncSkipped),
        ("acknowledged-early", Break::AcknowledgedEarly),
        ("started-early", Break::StartedEarly),
        ("kept-dropped", Break::KeptDropped),
        ("kept-overfull", Break::KeptOverfull),
        ("services-cut", Break::ServicesCut),
        ("services-overfull", Break::ServicesOverfull),
        ("revisions-cut", Break::RevisionsCut),
        ("revisions-overfull", Break::RevisionsOverfull),
        ("sets-cut", Break::SetsCut),
        ("sets-overfull", Break::SetsOverfull),
        ("releases-swallowed", Break::ReleasesSwallowed),
    ];

    /// The one of a name.
    pub fn named(name: &str) -> Option<Break> {
        Break::ALL.iter().find(|(known, _)| *known == name).map(|(_, found)| *found)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Break::ALL.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}

/// What a bug makes of a call on its way to the gate: an answer to it that nobody has carried out, or another call.
pub fn of_call(world: &World, operation: &str, input: &mut Value) -> Option<Value> {
    let swallowed = [
        ("UpdateService", Break::UpdatesSwallowed),
        ("UpdateTaskProtection", Break::ProtectionsSwallowed),
        ("UpdateTaskSet", Break::ScalesSwallowed),
        ("ContinueServiceDeployment", Break::ContinuesSwallowed),
        ("StopServiceDeployment", Break::HaltsSwallowed),
        ("CreateCapacityProvider", Break::ProvidersSwallowed),
    ];
    if world.has(Break::StrategiesDropped)
        && let Some(members) = input.as_object_mut()
    {
        members.remove("capacityProviderStrategy");
    }
    let own = swallowed.iter().any(|(of, bug)| *of == operation && world.has(*bug));
    // Those that users make before anything else are no bug's.
    let own =
        own && (operation != "CreateCapacityProvider" || input.get("managedInstancesProvider").is_some());
    let rare = [Break::ContinuesSwallowed, Break::HaltsSwallowed, Break::ProvidersSwallowed];
    let often = if rare.iter().any(|bug| world.has(*bug)) { 60 } else { 20 };
    if !own || !world.percent(often) {
        return None;
    }
    let tasks = input["tasks"].as_array().into_iter().flatten();
    let protected: Vec<Value> = tasks.map(|task| json!({"taskArn": task})).collect();
    Some(json!({"protectedTasks": protected}))
}

/// What a bug makes of what is to be kept of STOPPED tasks.
pub fn of_keeping(world: &World) -> Option<Keeps> {
    let more = if world.has(Break::KeptOverfull) { 8 } else { 0 };
    let keeps = world.keeps.map(|keeps| Keeps { count: keeps.count + more, ..keeps });
    keeps.filter(|_| !world.has(Break::KeptDropped))
}

/// How a planner goes too far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Services,
    Revisions,
    Sets,
}

/// What a step comes to where a bug has its planner go too far: it stops all healthy tasks of a revision of which it has
/// touched one, or starts so many more.
pub fn of_step(world: &World, delta: &Delta<Cluster>) -> Option<Cluster> {
    let bugs = [
        (Break::ServicesCut, Whose::Services, true),
        (Break::ServicesOverfull, Whose::Services, false),
        (Break::RevisionsCut, Whose::Revisions, true),
        (Break::RevisionsOverfull, Whose::Revisions, false),
        (Break::SetsCut, Whose::Sets, true),
        (Break::SetsOverfull, Whose::Sets, false),
    ];
    let (_, whose, cuts) = bugs.into_iter().find(|(bug, ..)| world.has(*bug))?;
    let mut touched = delta.keys.iter().filter_map(|key| match key {
        Key::Task(id) => delta.after.task(id)?.service.as_ref(),
        _ => None,
    });
    let (name, revision) = touched.find(|(name, _)| is_of(delta.after, name, whose))?;
    let mut after = delta.after.clone();
    for row in gone_too_far(delta, name, *revision, cuts, world.now()) {
        after.apply(&Change::Put(Row::Task(row.into())));
    }
    Some(after)
}

fn is_of(state: &Cluster, name: &ServiceName, whose: Whose) -> bool {
    let Some(service) = state.service(name) else { return false };
    let newest = state.service_deployment(name).filter(|row| !row.status.has_ended());
    let is = match service.controller {
        DeploymentControllerType::External => Whose::Sets,
        DeploymentControllerType::Ecs if newest.is_some_and(|row| checks::staged(row).is_some()) => {
            Whose::Revisions
        }
        DeploymentControllerType::Ecs => Whose::Services,
    };
    is == whose
}

fn gone_too_far(
    delta: &Delta<Cluster>,
    name: &ServiceName,
    revision: DeploymentId,
    cuts: bool,
    at: wire::Timestamp,
) -> Vec<TaskRow> {
    const MANY: u128 = 50;
    let own = delta.after.tasks_of_service(name);
    let mut own = own.filter(|task| task.service.as_ref().is_some_and(|(_, id)| *id == revision));
    if cuts {
        let healthy = |task: &TaskRow| task.standing() == Some(Standing::Healthy);
        let code = TaskStopCode::ServiceSchedulerInitiated;
        let stop = Stop { code, reason: "Scaling activity".to_owned(), at };
        return own
            .filter(|task| healthy(task) && delta.before.task(&task.id).is_some_and(|old| healthy(old)))
            .map(|task| TaskRow {
                desired: Desired::Stopped,
                stop: Some(stop.clone()),
                ..task.as_ref().clone()
            })
            .collect();
    }
    let live = own.find(|task| task.desired == Desired::Running);
    let more = |task: &TaskRow| {
        let copy = |number| TaskRow { id: TaskId(Id128(number)), instance: None, ..task.clone() };
        (0..MANY).map(copy).collect()
    };
    live.map(|task| more(task)).unwrap_or_default()
}
