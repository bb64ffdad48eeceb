//! A botocore service model (`service-2.json`), read as far as the generator needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::Read;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::allow::{Allowed, Operations, Serde};
use super::names;
use super::types::Group;

/// One service: what the model says, and what of it is typed.
pub struct Model {
    pub name: &'static str,
    pub metadata: Metadata,
    pub operations: BTreeMap<String, Operation>,
    pub shapes: BTreeMap<String, Shape>,
    /// Names of the operations that get types.
    pub typed: BTreeSet<String>,
    /// Names of the shapes that a typed operation or an error reaches.
    pub reached: BTreeSet<String>,
    serde: Serde,
    /// Names of the shapes that the input of a typed operation reaches.
    inputs: BTreeSet<String>,
    /// Names of the shapes that the output of a typed operation reaches.
    outputs: BTreeSet<String>,
    /// The statics of those shapes.
    tables: BTreeMap<String, String>,
}

/// Which ways a structure goes.
#[derive(Clone, Copy, PartialEq)]
pub struct Ways {
    /// It is made of JSON.
    pub read: bool,
    /// JSON is made of it.
    pub written: bool,
}

#[derive(Deserialize)]
struct File {
    metadata: Metadata,
    operations: BTreeMap<String, Operation>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub api_version: String,
    pub endpoint_prefix: String,
    pub signing_name: Option<String>,
    pub service_id: String,
    pub protocol: String,
    #[serde(default)]
    pub protocols: Vec<String>,
    pub json_version: Option<String>,
    pub target_prefix: Option<String>,
    pub xml_namespace: Option<String>,
    /// Present where errors can also go by the codes of the query protocol.
    pub aws_query_compatible: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
pub struct Operation {
    pub input: Option<ShapeRef>,
    pub output: Option<ShapeRef>,
    #[serde(default)]
    pub errors: Vec<ShapeRef>,
    pub http: Http,
    pub endpoint: Option<Endpoint>,
    #[serde(default)]
    pub deprecated: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub host_prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    pub method: String,
    pub request_uri: String,
    pub response_code: Option<u16>,
}

#[derive(Deserialize)]
pub struct Namespace {
    #[serde(default)]
    pub prefix: String,
    pub uri: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct ShapeRef {
    pub shape: String,
    pub location_name: Option<String>,
    pub query_name: Option<String>,
    pub location: Option<String>,
    pub timestamp_format: Option<String>,
    pub xml_namespace: Option<Namespace>,
    pub jsonvalue: bool,
    pub result_wrapper: Option<String>,
    pub xml_attribute: bool,
    pub flattened: bool,
    pub idempotency_token: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub members: Pairs<ShapeRef>,
    #[serde(default)]
    pub required: Vec<String>,
    pub member: Option<ShapeRef>,
    pub key: Option<ShapeRef>,
    pub value: Option<ShapeRef>,
    #[serde(rename = "enum", default)]
    pub values: Vec<String>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<String>,
    pub timestamp_format: Option<String>,
    pub location_name: Option<String>,
    pub payload: Option<String>,
    pub xml_namespace: Option<Namespace>,
    #[serde(default)]
    pub eventstream: bool,
    #[serde(default)]
    pub flattened: bool,
    #[serde(default)]
    pub exception: bool,
    #[serde(default)]
    pub fault: bool,
    #[serde(default)]
    pub union: bool,
    #[serde(default)]
    pub document: bool,
    pub error: Option<ErrorTrait>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorTrait {
    pub code: Option<String>,
    pub http_status_code: Option<u16>,
}

/// A JSON object whose order is kept.
pub struct Pairs<T>(pub Vec<(String, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Pairs<T>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

impl Model {
    /// Reads the newest API version of one service.
    pub fn read(botocore: &Path, allowed: &Allowed) -> Result<Self> {
        let File { metadata, operations, shapes } = read_file(&botocore.join("data").join(allowed.name))?;
        let typed: BTreeSet<String> = match allowed.operations {
            Operations::All => operations.keys().cloned().collect(),
            Operations::Only(names) => names.iter().map(|name| (*name).to_owned()).collect(),
        };
        if let Some(unknown) = typed.iter().find(|name| !operations.contains_key(*name)) {
            bail!("{} has no operation {unknown}", allowed.name);
        }
        let mut model = Self {
            name: allowed.name,
            metadata,
            operations,
            shapes,
            typed,
            reached: BTreeSet::new(),
            serde: allowed.serde,
            inputs: BTreeSet::new(),
            outputs: BTreeSet::new(),
            tables: BTreeMap::new(),
        };
        model.inputs = model.reach(model.ends(|operation| &operation.input))?;
        model.outputs = model.reach(model.ends(|operation| &operation.output))?;
        model.reached = model.reach(model.errors().map(|(name, _)| name.as_str()).collect())?;
        model.reached.extend(model.inputs.iter().chain(&model.outputs).cloned());
        model.tables = table_names(&model.reached);
        Ok(model)
    }

    /// The name of a shape's static.
    pub fn table(&self, name: &str) -> String {
        self.tables.get(name).cloned().unwrap_or_else(|| names::screaming(name))
    }

    /// The shape of that name; the models hold no dangling reference.
    pub fn shape(&self, name: &str) -> Result<&Shape> {
        self.shapes.get(name).with_context(|| format!("no shape {name}"))
    }

    /// The typed operations, by name.
    pub fn typed_operations(&self) -> impl Iterator<Item = (&String, &Operation)> {
        self.operations.iter().filter(|(name, _)| self.typed.contains(*name))
    }

    /// Whether a structure can hold itself without a list or map between, so that a field needs a `Box`.
    pub fn holds_itself(&self, name: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            let Some(shape) = self.shapes.get(next).filter(|shape| shape.kind == "structure") else {
                continue;
            };
            for (_, member) in &shape.members.0 {
                if member.shape == name {
                    return true;
                }
                if seen.insert(member.shape.as_str()) {
                    open.push(&member.shape);
                }
            }
        }
        false
    }

    /// Every shape of the service that is an error.
    pub fn errors(&self) -> impl Iterator<Item = (&String, &Shape)> {
        self.shapes.iter().filter(|(_, shape)| shape.exception)
    }

    /// Whether the operation's input or output has a stream of events.
    pub fn has_event_stream(&self, operation: &Operation) -> bool {
        let ends = [&operation.input, &operation.output];
        let members = ends.into_iter().flatten().filter_map(|end| self.shapes.get(&end.shape));
        let mut members = members.flat_map(|shape| &shape.members.0);
        members.any(|(_, member)| self.shapes.get(&member.shape).is_some_and(|shape| shape.eventstream))
    }

    /// The namespace of the service's XML: of the metadata, else the one that inputs or payloads have.
    pub fn namespace(&self) -> Option<&str> {
        let inputs = self.operations.values().filter_map(|operation| operation.input.as_ref());
        let members = self.shapes.values().flat_map(|shape| shape.members.0.iter().map(|(_, member)| member));
        let plain = |namespace: &&Namespace| namespace.prefix.is_empty();
        let found = inputs.chain(members).filter_map(|end| end.xml_namespace.as_ref()).find(plain);
        self.metadata.xml_namespace.as_deref().or_else(|| found.map(|namespace| namespace.uri.as_str()))
    }

    /// The ways of one structure of that group.
    pub fn ways(&self, name: &str, group: Group) -> Ways {
        let both = self.serde == Serde::Both;
        let read = group == Group::Requests || self.inputs.contains(name);
        // What only errors hold is written.
        let written = group == Group::Responses || self.outputs.contains(name) || !read;
        Ways { read: both || read, written: both || written }
    }

    fn ends(&self, end: fn(&Operation) -> &Option<ShapeRef>) -> Vec<&str> {
        let ends = self.typed_operations().filter_map(|(_, operation)| end(operation).as_ref());
        ends.map(|shape| shape.shape.as_str()).collect()
    }

    /// The names of all shapes that those of `open` hold, themselves included.
    fn reach<'a>(&'a self, mut open: Vec<&'a str>) -> Result<BTreeSet<String>> {
        let mut reached = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !reached.insert(name.to_owned()) {
                continue;
            }
            let shape = self.shape(name)?;
            open.extend(shape.members.0.iter().map(|(_, member)| member.shape.as_str()));
            let inner = [&shape.member, &shape.key, &shape.value];
            open.extend(inner.into_iter().flatten().map(|inner| inner.shape.as_str()));
        }
        Ok(reached)
    }
}

/// A static for each shape. Some models hold names that differ only in the case of letters within a word (`RoleARN`,
/// `RoleArn`): the later ones get a number.
fn table_names(shapes: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let named = shapes.iter().map(|name| {
        let table = names::screaming(name);
        let count = seen.entry(table.clone()).or_default();
        *count += 1;
        (name.clone(), if *count == 1 { table } else { format!("{table}__{count}") })
    });
    named.collect()
}

fn read_file(service: &Path) -> Result<File> {
    let mut versions: Vec<PathBuf> = fs::read_dir(service)
        .with_context(|| format!("no service at {}", service.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    versions.sort();
    let newest = versions.pop().context("no API version")?;
    let plain = newest.join("service-2.json");
    if plain.exists() {
        return Ok(serde_json::from_slice(&fs::read(plain)?)?);
    }
    let packed = newest.join("service-2.json.gz");
    let file = fs::File::open(&packed).with_context(|| packed.display().to_string())?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// Finds the `botocore` directory: as given, or in the repository's virtual environment.
pub fn find_botocore(root: &Path, given: Option<PathBuf>) -> Result<PathBuf> {
    let start = given.unwrap_or_else(|| root.join(".venv"));
    let mut candidates = vec![start.clone(), start.join("botocore")];
    for lib in fs::read_dir(start.join("lib")).into_iter().flatten().flatten() {
        candidates.push(lib.path().join("site-packages/botocore"));
    }
    candidates
        .into_iter()
        .find(|dir| dir.join("data/ecs").is_dir())
        .with_context(|| format!("no botocore below {}: give --botocore DIR", start.display()))
}

/// `__version__` of the package.
pub fn botocore_version(botocore: &Path) -> Result<String> {
    let init = fs::read_to_string(botocore.join("__init__.py"))?;
    let line = init.lines().find_map(|line| line.strip_prefix("__version__ = ")).context("no __version__")?;
    Ok(line.trim().trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_alone_get_statics_of_their_own() {
        let shapes = ["RoleARN", "RoleArn", "roleArn", "Role"].map(str::to_owned).into();
        let names: Vec<String> = table_names(&shapes).into_values().collect();
        assert_eq!(names, ["ROLE", "ROLE_ARN", "ROLE_ARN__2", "ROLE_ARN__LOWER"]);
    }
}
