//! The generated tables hold together.

use std::collections::BTreeSet;

use wire::schema::{Kind, Pattern, Service, Shape};

use crate::{SERVICES, generated};

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
    let all = SERVICES.iter().chain(generated::SERVICES);
    for operation in all.flat_map(|service| service.operations) {
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

fn pattern_of(service: &Service, operation: &str, path: &[&str]) -> &'static Pattern {
    let mut shape = service.operation(operation).unwrap().input.unwrap();
    for name in path {
        shape = match &shape.kind {
            Kind::List { member, .. } => member.shape.member(name).unwrap().shape,
            _ => shape.member(name).unwrap().shape,
        };
    }
    while let Kind::List { member, .. } = &shape.kind {
        shape = member.shape;
    }
    let Kind::String { pattern: Some(pattern), .. } = shape.kind else { panic!("no pattern") };
    pattern
}

/// What must not follow is looked for, too.
#[test]
fn patterns_that_look_ahead_are_read() {
    let path = ["Targets", "HttpParameters", "PathParameterValues"];
    let not_blank = pattern_of(&events_model::SERVICE, "PutTargets", &path);
    let source = pattern_of(
        &scheduler_model::SERVICE,
        "CreateSchedule",
        &["Target", "EventBridgeParameters", "Source"],
    );
    for (pattern, text, matches) in [
        (not_blank, "a", true),
        (not_blank, " a ", true),
        (not_blank, "", false),
        (not_blank, "  \t", false),
        (source, "com.example", true),
        (source, "aws", true),
        (source, "aws.ecs", false),
        (source, "", false),
        (source, "$.detail[0][*].a", true),
    ] {
        assert_eq!(pattern.matches(text), matches, "{text:?}");
    }
}

/// Twice as many steps for each letter, without a bound: a value that would take too long is not taken.
#[test]
fn a_match_ends_whatever_the_text() {
    static PATTERN: Pattern = Pattern::new("(?=a)(a|aa)+(?!a)b");
    assert!(PATTERN.matches("aaab") && !PATTERN.matches("aaa"));
    assert!(!PATTERN.matches(&"a".repeat(10_000)));
}
