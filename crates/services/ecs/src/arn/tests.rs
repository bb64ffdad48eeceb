//! Tables of identifiers.

use super::*;
use crate::testing::ctx;

#[test]
fn every_arn_reads_back_as_it_was_written() {
    for rest in [
        "cluster/c",
        "service/c/s",
        "task/c/0123456789abcdef0123456789abcdef",
        "container-instance/c/0123456789abcdef0123456789abcdef",
        "task-definition/web:12",
        "container/c/t/id",
        "capacity-provider/cp",
        "task-set/c/s/ecs-svc/0000000000000000001",
        "service-deployment/c/s/d",
        "service-revision/c/s/1",
        "daemon-task-definition/agent:12",
        "daemon/c/d",
        "daemon-deployment/c/d/abc",
        "daemon-revision/c/d/01234567-89ab-cdef-0123-456789abcdef",
    ] {
        let text = format!("arn:aws:ecs:us-east-1:000000000000:{rest}");
        assert_eq!(Arn::parse(&text).map(|arn| arn.to_string()), Some(text));
    }
    for bad in [
        "",
        "arn:",
        "arn:aws:s3:::b",
        "arn:aws:ecs:r:a:cluster",
        "arn:aws:ecs:r:a:cluster/",
        "arn:aws:ecs:r:a:task-definition/f:0",
        "arn:aws:ecs:r:a:task-definition/f",
        "arn:aws:ecs:r:a:daemon-task-definition/f",
    ] {
        assert_eq!(Arn::parse(bad), None, "{bad}");
    }
}

#[test]
fn names_and_arns_are_resolved() {
    let ctx = ctx();
    assert_eq!(cluster_name(&ctx, None).unwrap(), "default");
    assert_eq!(cluster_name(&ctx, Some("")).unwrap(), "default");
    assert_eq!(cluster_name(&ctx, Some(&cluster(&ctx, "blue"))).unwrap(), "blue");
    assert_eq!(service_name(&ctx, "c", &service(&ctx, "c", "web")).unwrap(), "web");
    let id = "0123456789abcdef0123456789abcdef";
    assert_eq!(task_id(&ctx, "c", &task(&ctx, "c", id)).unwrap(), id);
    assert_eq!(container_instance_id(&ctx, "c", &container_instance(&ctx, "c", id)).unwrap(), id);
    assert_eq!(task_definition_name(&ctx, "web").unwrap(), ("web".to_owned(), None));
    assert_eq!(task_definition_name(&ctx, "web:3").unwrap(), ("web".to_owned(), Some(3)));
    let arn = task_definition(&ctx, "web", 3);
    assert_eq!(task_definition_name(&ctx, &arn).unwrap(), ("web".to_owned(), Some(3)));
    let any = arn.strip_suffix(":3").unwrap();
    assert_eq!(task_definition_name(&ctx, any).unwrap(), ("web".to_owned(), None));
    let daemon = daemon_task_definition(&ctx, "web", 3);
    assert_eq!(daemon_task_definition_name(&ctx, &daemon).unwrap(), ("web".to_owned(), Some(3)));
    let bits = state::Id128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    let revision = daemon_revision(&ctx, "c", "d", DaemonRevisionId(bits));
    let last = revision.rsplit('/').next().unwrap();
    assert_eq!(last, "01234567-89ab-cdef-0123-456789abcdef");
    assert_eq!(daemon_revision_id(last), Some(DaemonRevisionId(bits)));
    assert_eq!(daemon_revision_id(&last.replace('-', "")), None);
    assert!(task_definition_name(&ctx, &daemon).is_err() && daemon_task_definition_name(&ctx, &arn).is_err());
}

#[test]
fn foreign_and_malformed_identifiers_are_refused() {
    let ctx = ctx();
    let foreign = "arn:aws:ecs:us-east-1:111122223333:cluster/c";
    let message = |error: Error| error.message().to_owned();
    let refused = cluster_name(&ctx, Some(foreign)).unwrap_err();
    assert_eq!(message(refused), "Identifier is for 111122223333. Your accountId is 000000000000");
    assert_eq!(
        message(cluster_name(&ctx, Some("a b")).unwrap_err()),
        "Cluster must match ^[a-zA-Z0-9\\-_]{1,255}$, but was a b"
    );
    assert_eq!(message(task_id(&ctx, "c", "x").unwrap_err()), "taskId length should be one of [32,36]");
    assert_eq!(message(task_id(&ctx, "c", &"x".repeat(40)).unwrap_err()), "taskId longer than 36.");
    let other = task(&ctx, "d", "0123456789abcdef0123456789abcdef");
    assert_eq!(
        message(task_id(&ctx, "c", &other).unwrap_err()),
        "Identifier is for cluster d. Your cluster is c"
    );
    assert_eq!(message(task_definition_name(&ctx, "a:b:c").unwrap_err()), "Unexpected number of separators");
    assert_eq!(message(task_definition_name(&ctx, "a:b").unwrap_err()), "Invalid revision number. Number: b");
}
