//! The same plan made by looking at each task, slowly: what the planner by counts is held against.

use super::super::Want;

/// One task of a service, as far as planning cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Of the PRIMARY deployment, on a container instance that is not draining.
    pub current: bool,
    /// RUNNING and not UNHEALTHY: it counts as healthy.
    pub healthy: bool,
    /// It is not stopped.
    pub protected: bool,
}

/// How many tasks to start, and which to stop (positions in the slice).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub start: i32,
    pub stop: Vec<usize>,
    /// Tasks are to be replaced, but the percentages let none start and none stop, and no task is on its way that
    /// would change that.
    pub blocked: bool,
}

/// Plans for `tasks`, all of which shall run (`desiredStatus` RUNNING) in the order in which they would
/// be stopped, last first.
pub fn plan(want: &Want, tasks: &[Seen]) -> Plan {
    let current = count(tasks, |t| t.current);
    let surplus = (current - want.desired - want.moving).max(0);
    let mut stop = scale_down(want, tasks, surplus);
    let total = i32::try_from(tasks.len() - stop.len()).unwrap_or(i32::MAX);
    let missing = (want.desired - current).max(0);
    let room = (want.ceiling() - total).max(0);
    let start = if want.may_start && !want.stalled { missing.min(room) } else { 0 };
    stop.extend(replace(want, tasks, start));
    stop.sort_unstable();
    let coming = tasks.iter().any(|task| task.current && !task.healthy);
    let full = want.may_start && !want.stalled && missing > 0 && room == 0;
    let blocked = full && stop.is_empty() && !coming;
    Plan { start, stop, blocked }
}

/// The surplus of current tasks goes: those that are not healthy first, and of healthy ones none that the floor asks for.
fn scale_down(want: &Want, tasks: &[Seen], surplus: i32) -> Vec<usize> {
    let mut healthy = count(tasks, |t| t.current && t.healthy);
    let mut chosen = pick(tasks, surplus, |t| t.current);
    chosen.retain(|at| {
        let goes = !tasks[*at].healthy || healthy > want.floor().min(want.desired);
        healthy -= i32::from(goes && tasks[*at].healthy);
        goes
    });
    chosen
}

/// Outdated tasks go as current ones take their place. Where the ceiling, or the lack of room for new
/// ones, stops that, they go first, as far as the floor allows.
fn replace(want: &Want, tasks: &[Seen], starting: i32) -> Vec<usize> {
    let outdated = count(tasks, |t| !t.current);
    if outdated == 0 {
        return Vec::new();
    }
    let current = count(tasks, |t| t.current).min(want.desired);
    let ready = count(tasks, |t| t.current && t.healthy).min(want.desired);
    let coming = current - ready + starting;
    // What must stay so that no more than `floor` healthy ones are counted on.
    let healthy_outdated = count(tasks, |t| !t.current && t.healthy);
    let needed = (want.floor() - ready).max(0);
    let spare_healthy = (healthy_outdated - needed).max(0);
    let free = |healthy: bool| count(tasks, |t| !t.current && !t.protected && t.healthy == healthy);
    let (idle, spare_healthy) = (free(false), spare_healthy.min(free(true)));
    let replaced = (outdated + ready - want.desired).max(0);
    let stuck = !want.stalled && starting == 0 && coming == 0 && ready < want.desired;
    let most = if stuck { idle + spare_healthy } else { replaced.min(idle + spare_healthy) };
    let mut chosen = pick(tasks, most, |t| !t.current);
    let mut healthy_left = spare_healthy;
    chosen.retain(|at| {
        if tasks[*at].healthy {
            healthy_left -= 1;
            return healthy_left >= 0;
        }
        true
    });
    chosen
}

/// At most `most` of those that `which` names and that are not protected: unhealthy ones first, then from the end.
fn pick(tasks: &[Seen], most: i32, which: impl Fn(&Seen) -> bool) -> Vec<usize> {
    let mut found: Vec<usize> =
        (0..tasks.len()).rev().filter(|at| which(&tasks[*at]) && !tasks[*at].protected).collect();
    found.sort_by_key(|at| tasks[*at].healthy);
    found.truncate(usize::try_from(most).unwrap_or(0));
    found
}

pub fn count(tasks: &[Seen], which: impl Fn(&Seen) -> bool) -> i32 {
    i32::try_from(tasks.iter().filter(|t| which(t)).count()).unwrap_or(i32::MAX)
}
