//! A table that is left to the server in part has somebody who carries out exactly that.

use super::*;

#[test]
fn what_is_left_to_the_server_is_carried_out_by_somebody() {
    let table: &[Operation<Handler<::ecs::Cluster>>] = &[
        Operation::new("RunTask", state::write!(::ecs::task::run::run_task)),
        Operation::new("CreateCluster", Handler::Outside),
    ];
    let told = |names: &[&'static str]| {
        check(&ecs_model::SERVICE, left(table), names.iter().copied()).map_err(|wrong| wrong.to_string())
    };
    let wrong = |what: &str| Err(format!("the support table of ecs is wrong: {what}"));
    assert_eq!(told(&["CreateCluster"]), Ok(()));
    assert_eq!(told(&[]), wrong("CreateCluster is carried out by nobody"));
    assert_eq!(told(&["CreateCluster", "RunTask"]), wrong("RunTask is not left to the server"));
    assert_eq!(Support::by(table).built.len(), 2);
}
