//! The generated tables hold together.

use std::collections::BTreeSet;

use wire::schema::{Kind, Shape};

use crate::SERVICES;

fn walk(shape: &'static Shape, seen: &mut BTreeSet<*const Shape>, visit: &mut dyn FnMut(&'static Shape)) {
    if !seen.insert(shape) {
        return;
    }
    visit(shape);
    match &shape.kind {
        Kind::Structure { members, .. } => members.iter().for_each(|member| walk(member.shape, seen, visit)),
        Kind::List { member, .. } => walk(member.shape, seen, visit),
        Kind::Map { key, value, .. } => {
            walk(key.shape, seen, visit);
            walk(value.shape, seen, visit);
        }
        _ => {}
    }
}

#[test]
fn operations_are_sorted_and_found() {
    for service in SERVICES {
        assert!(service.operations.is_sorted_by_key(|operation| operation.name));
        for operation in service.operations {
            assert_eq!(service.operation(operation.name).map(|found| found.name), Some(operation.name));
        }
        assert!(service.operation("NoSuchThing").is_none());
    }
    assert_eq!(ecs_model::SERVICE.operations.len(), 88);
    assert!(ecs_model::SERVICE.operations.iter().all(|operation| operation.typed));
}

#[test]
fn every_pattern_is_readable() {
    let mut count = 0;
    for operation in SERVICES.iter().flat_map(|service| service.operations) {
        for shape in [operation.input, operation.output].into_iter().flatten() {
            walk(shape, &mut BTreeSet::new(), &mut |shape| {
                if let Kind::String { pattern: Some(pattern), .. } = shape.kind {
                    count += 1;
                    assert!(pattern.is_readable(), "{}: {}", shape.name, pattern.source());
                }
            });
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn a_pattern_matches_the_whole_text() {
    let operation = logs_model::SERVICE.operation("CreateLogGroup").unwrap();
    let shape = operation.input.and_then(|input| input.member("logGroupName")).unwrap().shape;
    let Kind::String { pattern: Some(pattern), .. } = shape.kind else { panic!("no pattern") };
    assert!(pattern.matches("/ecs/web"));
    assert!(!pattern.matches("/ecs/web$"));
    assert!(!pattern.matches("a b"));
}
