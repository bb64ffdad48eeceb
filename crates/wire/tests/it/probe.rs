//! The tables of the service that `tools/golden.py` calls `probe`: what awsQuery can do and no generated
//! service needs yet.

use wire::protocol::Index;
use wire::schema::{Kind, Member, Operation, Protocol, Service, Shape};

pub static SERVICE: Service = Service {
    name: "probe",
    signing_name: "probe",
    service_id: "Probe",
    api_version: "2026-01-01",
    target_prefix: None,
    xml_namespace: Some("https://probe/"),
    bare_errors: false,
    query_compatible: false,
    protocols: &[Protocol::Query],
    operations: &[Operation::typed("Do").input(&EVERYTHING).output(&EVERYTHING).wrapped("DoResult")],
    errors: &[],
    index: Index::new(),
};

static EVERYTHING: Shape = Shape {
    name: "Everything",
    kind: Kind::Structure {
        union: false,
        members: &[
            Member::new("Tags", &TAGS),
            Member::new("Flat", &FLAT),
            Member::new("Map", &MAP),
            Member::new("Flag", &FLAG),
            Member::new("When", &WHEN),
            Member::new("Data", &DATA),
            Member::new("Size", &SIZE),
        ],
    },
};
static TAGS: Shape = Shape {
    name: "Tags",
    kind: Kind::List { member: &Member::new("member", &TAG), flattened: false, min: None, max: None },
};
static TAG: Shape = Shape {
    name: "Tag",
    kind: Kind::Structure {
        union: false,
        members: &[Member::new("key", &TEXT).located("Key"), Member::new("n", &NUMBER)],
    },
};
static FLAT: Shape = Shape {
    name: "Flat",
    kind: Kind::List { member: &Member::new("member", &TEXT), flattened: true, min: None, max: None },
};
static MAP: Shape = Shape {
    name: "Map",
    kind: Kind::Map {
        key: &Member::new("key", &TEXT),
        value: &Member::new("value", &NUMBER),
        flattened: false,
        min: None,
        max: None,
    },
};
static TEXT: Shape =
    Shape { name: "Text", kind: Kind::String { min: None, max: None, pattern: None, values: &[] } };
static NUMBER: Shape = Shape { name: "Number", kind: Kind::Integer { min: None, max: None } };
static FLAG: Shape = Shape { name: "Flag", kind: Kind::Boolean };
static WHEN: Shape = Shape { name: "When", kind: Kind::Timestamp(None) };
static DATA: Shape = Shape { name: "Data", kind: Kind::Blob { min: None, max: None } };
static SIZE: Shape = Shape { name: "Size", kind: Kind::Double { min: None, max: None } };
