//! The tables agree with the models, and the page agrees with the tables.

use std::collections::BTreeSet;

use super::{Built, Support};
use crate::gate::{Absent, Neutral};

#[test]
fn every_operation_and_member_is_in_one_class() {
    for (schema, support) in crate::services::support() {
        assert_eq!(support.check(schema), Ok(()), "{}", schema.name);
        let mut refused = 0;
        for operation in schema.operations {
            let Some(built) = support.of(operation.name) else {
                refused += 1;
                continue;
            };
            let named: BTreeSet<&str> = built
                .refused
                .iter()
                .copied()
                .chain(built.no_effect.iter().map(|(member, _)| *member))
                .collect();
            let rest = operation.input_members().iter().filter(|member| !named.contains(member.name)).count();
            assert_eq!(rest + named.len(), operation.input_members().len(), "{}", operation.name);
            assert!(built.no_effect.iter().all(|(_, why)| !why.is_empty()), "{}", operation.name);
            let needed =
                operation.input_members().iter().find(|m| m.required && built.refused.contains(&m.name));
            assert!(needed.is_none(), "{}: a required member is refused", operation.name);
        }
        assert_eq!(refused + support.built.len(), schema.operations.len());
    }
}

#[test]
fn a_wrong_table_is_told() {
    let wrong =
        |built: &'static [Built]| Support { built, absent: &[] }.check(&ecs_model::SERVICE).unwrap_err();
    const TWICE: &[Built] = &[Built::whole("RunTask"), Built::whole("RunTask")];
    const UNKNOWN: &[Built] = &[Built::whole("RunTasks")];
    const MEMBER: &[Built] = &[Built::whole("RunTask").refusing(&["counts"])];
    const BOTH: &[Built] = &[Built::whole("RunTask").refusing(&["count"]).without_effect(&[("count", "x")])];
    assert_eq!(wrong(TWICE), "RunTask is listed twice");
    assert_eq!(wrong(UNKNOWN), "no typed operation RunTasks");
    assert_eq!(wrong(MEMBER), "RunTask has no member counts");
    assert_eq!(wrong(BOTH), "RunTask: count is in two classes");
    const PATH: &[Absent] = &[Absent {
        operations: &["RunTask"],
        member: "overrides.containerOverrides.cpus",
        value: Neutral::Zero,
    }];
    const RUN: &[Built] = &[Built::whole("RunTask")];
    let path = Support { built: RUN, absent: PATH }.check(&ecs_model::SERVICE);
    assert_eq!(path, Err("RunTask has no member overrides.containerOverrides.cpus".to_owned()));
}
