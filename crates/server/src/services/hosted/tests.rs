//! A table that is left to the server in part has somebody who carries out exactly that.

use super::*;

#[test]
fn what_is_left_to_the_server_is_carried_out_by_somebody() {
    fn write(_: &mut ::ecs::Txn, _: Value) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
    let table: &[Operation<::ecs::Cluster>] = &[
        Operation::new("RunTask", Handler::Write(write)),
        Operation::new("CreateCluster", Handler::Outside),
    ];
    let told =
        |names: &[&'static str]| check(&ecs_model::SERVICE, table, names).map_err(|wrong| wrong.to_string());
    let wrong = |what: &str| Err(format!("the support table of ecs is wrong: {what}"));
    assert_eq!(told(&["CreateCluster"]), Ok(()));
    assert_eq!(told(&[]), wrong("CreateCluster is carried out by nobody"));
    assert_eq!(told(&["CreateCluster", "RunTask"]), wrong("RunTask is not left to the server"));
    assert_eq!(support(table).built.len(), 2);
}

#[test]
fn on_a_disk_that_is_nearly_full_what_makes_rows_is_refused() {
    for name in ["PutEvents", "PutRule", "CreateSchedule", "UpdateSchedule", "TagResource", "EnableRule"] {
        assert!(begins(name), "{name}");
    }
    for name in ["DeleteRule", "RemoveTargets", "UntagResource", "DisableRule", "DeleteScheduleGroup"] {
        assert!(!begins(name), "{name}");
    }
}
