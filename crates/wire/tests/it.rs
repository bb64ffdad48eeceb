//! What `wire` does with the generated models, and against other implementations: the signing test suite, the
//! AWS SDK's signer, botocore.

// Helpers of tests are not in `#[test]` functions, where unwrap is allowed.
#![allow(clippy::unwrap_used)]

#[path = "generated/all.rs"]
#[rustfmt::skip]
mod generated;
#[path = "it/golden.rs"]
mod golden;
#[path = "it/oracle.rs"]
mod oracle;
#[path = "it/probe.rs"]
mod probe;
#[path = "it/protocol.rs"]
mod protocol;
#[path = "it/routes.rs"]
mod routes;
#[path = "it/schema.rs"]
mod schema;
#[path = "it/signing_suite.rs"]
mod signing_suite;
#[path = "it/there_and_back.rs"]
mod there_and_back;
#[path = "it/validate.rs"]
mod validate;

/// Every service that has a model.
static SERVICES: &[&wire::schema::Service] = &[
    &ec2_model::SERVICE,
    &ecs_model::SERVICE,
    &events_model::SERVICE,
    &lambda_model::SERVICE,
    &logs_model::SERVICE,
    &scheduler_model::SERVICE,
    &sts_model::SERVICE,
];
