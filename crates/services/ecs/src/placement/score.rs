//! Which of the container instances that have room comes first: the placement strategies.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-strategies.html>

use ecs_model::errors;
use wire::Error;

use super::{
    Candidate, Request, filter,
    search::Search,
    slots::State,
    split::{Layout, Lead},
};
use crate::{
    cluster::Cluster,
    instance::ZONE,
    rows::{PlacementStrategy, PlacementStrategyType},
};

/// The most strategies of one task or service.
pub const MAX_STRATEGIES: usize = 5;

/// One placement strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// Any.
    Random,
    /// The instance with the fewest tasks of the group.
    SpreadInstances,
    /// An instance of the attribute's value that has the fewest tasks of the group.
    SpreadAttribute(String),
    /// The instance with the least CPU left.
    BinpackCpu,
    /// The instance with the least memory left.
    BinpackMemory,
}

impl Strategy {
    /// Reads the strategies of a request, in their order, up to the one that leaves it to chance: behind it there is
    /// nothing to decide.
    pub fn compile(given: &[PlacementStrategy]) -> Result<Vec<Strategy>, Error> {
        if given.len() > MAX_STRATEGIES {
            return Err(errors::invalid_parameter(
                "Too many placement strategies specified. The maximum is 5.",
            ));
        }
        let mut chain = given.iter().map(Strategy::of).collect::<Result<Vec<_>, _>>()?;
        chain.truncate(chain.iter().position(|of| *of == Strategy::Random).unwrap_or(chain.len()));
        Ok(chain)
    }

    /// What holds for a service that names none: over the zones, then the instances with the fewest tasks.
    pub fn of_service() -> Vec<Strategy> {
        vec![Strategy::SpreadAttribute(ZONE.to_owned()), Strategy::SpreadInstances]
    }

    fn of(given: &PlacementStrategy) -> Result<Strategy, Error> {
        let field = given.field.as_deref().unwrap_or_default();
        let refuse = |text: String| Err(errors::invalid_parameter(text));
        match given.r#type {
            Some(PlacementStrategyType::Random) if field.is_empty() => Ok(Strategy::Random),
            Some(PlacementStrategyType::Random) => refuse("random field should not be specified.".into()),
            Some(PlacementStrategyType::Spread) => match field {
                "instanceId" | "host" => Ok(Strategy::SpreadInstances),
                _ => match field.strip_prefix("attribute:").filter(|name| !name.is_empty()) {
                    Some(name) if name.len() <= 128 => Ok(Strategy::SpreadAttribute(name.to_owned())),
                    _ => refuse(format!("Invalid field for spread placement strategy: {field}")),
                },
            },
            Some(PlacementStrategyType::Binpack) => match field.to_ascii_lowercase().as_str() {
                "cpu" => Ok(Strategy::BinpackCpu),
                "memory" => Ok(Strategy::BinpackMemory),
                _ => refuse(format!("Invalid field for binpack placement strategy: {field}")),
            },
            None => refuse("Placement strategy type must be specified.".into()),
        }
    }
}

/// How a chain of strategies looks for its instance.
pub(super) fn layout(chain: &[Strategy]) -> Layout {
    let mut layout = Layout::default();
    let mut counted = false;
    for strategy in chain {
        let lead = match strategy {
            Strategy::SpreadAttribute(name) if !layout.attributes.contains(name) => {
                layout.attributes.push(name.clone());
                continue;
            }
            Strategy::BinpackCpu => Lead::Cpu,
            Strategy::BinpackMemory => Lead::Memory,
            Strategy::SpreadInstances => {
                counted = true;
                continue;
            }
            Strategy::Random | Strategy::SpreadAttribute(_) => continue,
        };
        // What is counted is held against the slots, as long as nothing else has put them in order before.
        if layout.lead == Lead::Slot && !counted {
            layout.lead = lead;
        }
    }
    layout
}

/// The best of those still to be looked at that all filters let through, with its slot. The costly filters are asked of
/// the best one alone; of the others, in their order, only if it fails.
pub(super) fn found<'v>(
    state: &'v Cluster,
    request: &Request,
    search: &mut Search,
) -> Option<(u32, Candidate<'v>)> {
    let slots = std::iter::from_fn(|| search.next(request));
    slots.into_iter().find_map(|slot| Some((slot, suitable(state, request, slot)?)))
}

/// An instance that will do, where any does: some are tried before it is asked which there are.
pub(super) fn drawn<'v>(state: &'v Cluster, request: &Request, seed: u64) -> Option<Candidate<'v>> {
    let slots = state.slots();
    let any = request.strategy.is_empty();
    let mut draws = draws(seed, slots.total()).filter(|_| any).filter(|slot| {
        slots.get(*slot).is_some_and(|slot| slot.state == State::Open && request.fits(slot.cpu, slot.memory))
    });
    draws.find_map(|slot| suitable(state, request, slot))
}

/// Slots to try, each as likely as any other. Where one in ten would do, one in a thousand tasks is placed by a
/// search.
pub(super) fn draws(seed: u64, slots: usize) -> impl Iterator<Item = u32> {
    const DRAWS: u64 = 64;
    (1..=DRAWS).filter(move |_| slots > 0).map(move |number| draw(seed, number, slots))
}

/// The slot that comes first where the strategies leave a choice.
pub(super) fn named(seed: u64, slots: usize) -> u32 {
    draw(seed, 0, slots)
}

fn draw(seed: u64, number: u64, slots: usize) -> u32 {
    let slot = (u128::from(mix(seed, number)) * slots as u128) >> 64;
    u32::try_from(slot).unwrap_or(u32::MAX)
}

/// The instance of a slot, if it will do.
fn suitable<'v>(state: &'v Cluster, request: &Request, slot: u32) -> Option<Candidate<'v>> {
    let candidate = state.candidate(state.slots().id(slot)?)?;
    filter::check(&candidate, request).is_none().then_some(candidate)
}

/// A number that looks random, from the seed and another number.
fn mix(seed: u64, number: u64) -> u64 {
    let z = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
