//! Lists of things of one kind: by their identifiers, by filters, by pages.
//!
//! A list looks at what was asked for by name; else at what an index gives for one of the filters (the identifiers of
//! things, of a VPC, a tag's value); else at all of the kind until the page is full. No more is kept of a kind than its
//! quota allows.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use ec2_model as model;
use imbl::OrdMap;
use state::paging::{Refused, Request};
use wire::Error;

use super::filter::{self, Filter};
use crate::{
    Ctx, Ec2, limits, refuse,
    rows::{Resource, VpcId},
    state::{Named, Within},
};

/// A kind of things that are listed.
pub trait Listed: Sized {
    /// Its identifiers.
    type Id: Within + Named + Into<Resource> + std::fmt::Display;
    /// The filter that names them.
    const ID: &'static str;
    /// The filter that names a VPC of whose things there is an index.
    const VPC: Option<&'static str> = None;
    /// All filters but those of tags.
    const FILTERS: &'static [&'static str];

    /// All of them.
    fn all(state: &Ec2) -> &OrdMap<Self::Id, Arc<Self>>;

    /// Its identifier.
    fn id(&self) -> Self::Id;

    /// Those that an index gives for the value of another filter, where it is one with an index.
    fn also(_state: &Ec2, _filter: &str, _value: &str) -> Option<Vec<Self::Id>> {
        None
    }

    /// What it has under the name of a filter.
    fn values(&self, state: &Ec2, ctx: &Ctx, filter: &str) -> Vec<String>;
}

/// What a request asks for.
pub struct Asked<'a> {
    pub ids: Option<&'a Vec<String>>,
    pub filters: Option<&'a Vec<model::Filter>>,
    pub size: Option<i32>,
    pub token: Option<&'a str>,
}

/// The page that a request asks for, and the next token.
pub type Page<R> = (Vec<Arc<R>>, Option<String>);

/// A page of a list.
///
/// # Errors
/// An identifier that is none or names nothing, a filter that there is not, a page that there is not.
pub fn list<R: Listed>(state: &Ec2, ctx: &Ctx, asked: &Asked) -> Result<Page<R>, Error> {
    let page = page(asked.size, asked.token)?;
    let after = match page.after() {
        Some(text) => Some(text.parse::<R::Id>().map_err(|_| no_token())?),
        None => None,
    };
    let filters = filter::read(asked.filters, R::FILTERS)?;
    let all = R::all(state);
    let named = named::<R>(state, asked.ids)?;
    let ids = named.or_else(|| narrowed::<R>(state, &filters));
    let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
    let shown = |row: &&Arc<R>| filters.iter().all(|filter| meets(state, ctx, row.as_ref(), filter));
    let key = |row: &&Arc<R>| row.id().to_string();
    let (rows, next) = match &ids {
        Some(ids) => page.cut(ids.range(from).filter_map(|id| all.get(id)).filter(shown), key),
        None => page.cut(all.range(from).map(|(_, row)| row).filter(shown), key),
    };
    Ok((rows.into_iter().cloned().collect(), next))
}

/// The things that identifiers name; none if there are no identifiers.
fn named<R: Listed>(state: &Ec2, ids: Option<&Vec<String>>) -> Result<Option<BTreeSet<R::Id>>, Error> {
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else { return Ok(None) };
    let found = |text: &String| {
        let id: Option<R::Id> = text.parse().ok();
        id.filter(|id| R::all(state).contains_key(id)).ok_or_else(|| R::Id::missing(text))
    };
    ids.iter().map(found).collect::<Result<_, _>>().map(Some)
}

/// What an index gives for one of the filters.
fn narrowed<R: Listed>(state: &Ec2, filters: &[Filter]) -> Option<BTreeSet<R::Id>> {
    let texts = |name: &str| filters.iter().find(|filter| filter.name == name)?.texts();
    if let Some(ids) = texts(R::ID) {
        return Some(ids.iter().filter_map(|id| id.parse().ok()).collect());
    }
    let by_tag = filters.iter().find_map(|filter| {
        let (key, values) = (filter.name.strip_prefix("tag:")?, filter.texts()?);
        let of = |value: &String| state.tagged(key, value).filter_map(R::Id::of).collect::<Vec<_>>();
        Some(values.iter().flat_map(of).collect())
    });
    let in_vpc = || {
        let vpcs = texts(R::VPC?)?;
        let of = |text: &String| text.parse::<VpcId>().ok().into_iter().flat_map(|vpc| state.within(vpc));
        Some(vpcs.iter().flat_map(of).collect())
    };
    let others = || {
        filters.iter().find_map(|filter| {
            let texts = filter.texts()?;
            let found = texts.iter().map(|value| R::also(state, &filter.name, value));
            let found: Option<Vec<Vec<R::Id>>> = found.collect();
            found.map(|ids| ids.into_iter().flatten().collect())
        })
    };
    by_tag.or_else(others).or_else(in_vpc)
}

fn meets<R: Listed>(state: &Ec2, ctx: &Ctx, row: &R, filter: &Filter) -> bool {
    match filter.name.strip_prefix("tag:") {
        Some(key) => filter.meets(state.tag(row.id().into(), key).map(|tag| tag.value.clone()).into_iter()),
        None => filter.meets(own(state, ctx, row, &filter.name).into_iter()),
    }
}

fn own<R: Listed>(state: &Ec2, ctx: &Ctx, row: &R, name: &str) -> Vec<String> {
    match name {
        "tag-key" => state.tags_of(row.id()).map(|tag| tag.key.clone()).collect(),
        "owner-id" => vec![ctx.account.to_string()],
        name if name == R::ID => vec![row.id().to_string()],
        name => row.values(state, ctx, name),
    }
}

/// The page of a request.
///
/// # Errors
/// A size that no page has, or a token that none gave.
pub fn page(size: Option<i32>, token: Option<&str>) -> Result<Request, Error> {
    // The model has the least and the most.
    let read = Request::read(limits::PAGE, limits::PAGE, size, token);
    read.map_err(|refused| match refused {
        Refused::Size { .. } => refuse::parameter("maxResults", &size.unwrap_or_default().to_string()),
        Refused::Token => no_token(),
    })
}

/// A token that no page gave.
pub fn no_token() -> Error {
    refuse::with("InvalidNextToken", "The token is invalid.")
}
