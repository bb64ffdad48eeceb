//! Deliberate bugs, of which a world has one or none: what makes the simulator worth its while finds each of them. All are
//! at the seams, in what is simulated around the program.

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
