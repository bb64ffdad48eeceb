//! Deliberate bugs, of which a world has one or none: what makes the simulator worth its while finds each of them. All are
//! at the seams, in what is simulated around the program.

use serde_json::{Value, json};

use crate::world::World;

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
    ];
    if world.has(Break::StrategiesDropped)
        && let Some(members) = input.as_object_mut()
    {
        members.remove("capacityProviderStrategy");
    }
    let own = swallowed.iter().any(|(of, bug)| *of == operation && world.has(*bug));
    let often = if world.has(Break::ContinuesSwallowed) { 60 } else { 20 };
    if !own || !world.percent(often) {
        return None;
    }
    let tasks = input["tasks"].as_array().into_iter().flatten();
    let protected: Vec<Value> = tasks.map(|task| json!({"taskArn": task})).collect();
    Some(json!({"protectedTasks": protected}))
}
