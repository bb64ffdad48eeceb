//! Every member of RegisterTaskDefinition, nested ones too, in exactly one of: built, built for some values, accepted without
//! effect, refused. The table decides at run time, and docs/support.md lists it, so the two
//! cannot differ. A test walks the service's model and fails on a member that the table does not know.

use ecs_model::{self as ecs, errors};
use serde_json::Value;
use wire::Error;

/// What happens with a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Carried out.
    Built,
    /// Carried out for these values; others are refused, for the reason given.
    Values(&'static [&'static str], &'static str),
    /// Accepted without effect, for the reason given.
    NoEffect(&'static str),
    /// Refused, with all below it, unless it says nothing (`false`, empty, or a map that holds only such); for
    /// the reason given.
    Refused(&'static str),
}

use Support::{Built, NoEffect, Refused, Values};

const ROLES: &str = "tasks get no credentials of a role yet";
const EXECUTION: &str =
    "the agent that pulls images and ships logs acts for the account itself and needs no role";
const FILES: &str = "there is no S3 to read them from yet";
const VOLUMES: &str = "only host volumes are built so far";
const CONNECT: &str =
    "names a port for Service Connect and VPC Lattice, which are refused where they are asked for";
const ACCELERATORS: &str = "a task has the GPUs of its definition, each for one container alone";
const LOG_FILES: &str = "the log files of other tasks are in no volume yet";
const INFERENCE: &str = "Elastic Inference has ended: AWS refuses it too";

/// Members by their path, sorted.
pub const MEMBERS: &[(&str, Support)] = &[
    ("containerDefinitions", Built),
    ("containerDefinitions.command", Built),
    ("containerDefinitions.cpu", Built),
    ("containerDefinitions.credentialSpecs", Refused("Active Directory credentials are not built yet")),
    ("containerDefinitions.dependsOn", Built),
    ("containerDefinitions.dependsOn.condition", Built),
    ("containerDefinitions.dependsOn.containerName", Built),
    ("containerDefinitions.disableNetworking", Built),
    ("containerDefinitions.dnsSearchDomains", Built),
    ("containerDefinitions.dnsServers", Built),
    ("containerDefinitions.dockerLabels", Built),
    ("containerDefinitions.dockerSecurityOptions", Built),
    ("containerDefinitions.entryPoint", Built),
    ("containerDefinitions.environment", Built),
    ("containerDefinitions.environment.name", Built),
    ("containerDefinitions.environment.value", Built),
    ("containerDefinitions.environmentFiles", Refused(FILES)),
    ("containerDefinitions.environmentFiles.type", Refused(FILES)),
    ("containerDefinitions.environmentFiles.value", Refused(FILES)),
    ("containerDefinitions.essential", Built),
    ("containerDefinitions.extraHosts", Built),
    ("containerDefinitions.extraHosts.hostname", Built),
    ("containerDefinitions.extraHosts.ipAddress", Built),
    ("containerDefinitions.firelensConfiguration", Refused("FireLens is not built yet")),
    ("containerDefinitions.firelensConfiguration.options", Refused("FireLens is not built yet")),
    ("containerDefinitions.firelensConfiguration.type", Refused("FireLens is not built yet")),
    ("containerDefinitions.healthCheck", Built),
    ("containerDefinitions.healthCheck.command", Built),
    ("containerDefinitions.healthCheck.interval", Built),
    ("containerDefinitions.healthCheck.retries", Built),
    ("containerDefinitions.healthCheck.startPeriod", Built),
    ("containerDefinitions.healthCheck.timeout", Built),
    ("containerDefinitions.hostname", Built),
    ("containerDefinitions.image", Built),
    ("containerDefinitions.interactive", Built),
    ("containerDefinitions.links", Built),
    ("containerDefinitions.linuxParameters", Built),
    ("containerDefinitions.linuxParameters.capabilities", Built),
    ("containerDefinitions.linuxParameters.capabilities.add", Built),
    ("containerDefinitions.linuxParameters.capabilities.drop", Built),
    ("containerDefinitions.linuxParameters.devices", Built),
    ("containerDefinitions.linuxParameters.devices.containerPath", Built),
    ("containerDefinitions.linuxParameters.devices.hostPath", Built),
    ("containerDefinitions.linuxParameters.devices.permissions", Built),
    ("containerDefinitions.linuxParameters.initProcessEnabled", Built),
    ("containerDefinitions.linuxParameters.maxSwap", Built),
    ("containerDefinitions.linuxParameters.sharedMemorySize", Built),
    ("containerDefinitions.linuxParameters.swappiness", Built),
    ("containerDefinitions.linuxParameters.tmpfs", Built),
    ("containerDefinitions.linuxParameters.tmpfs.containerPath", Built),
    ("containerDefinitions.linuxParameters.tmpfs.mountOptions", Built),
    ("containerDefinitions.linuxParameters.tmpfs.size", Built),
    ("containerDefinitions.logConfiguration", Built),
    (
        "containerDefinitions.logConfiguration.logDriver",
        Values(&["awslogs", "json-file"], "log drivers awslogs and json-file are built so far"),
    ),
    ("containerDefinitions.logConfiguration.options", Built),
    ("containerDefinitions.logConfiguration.secretOptions", Refused("secrets are not built yet")),
    ("containerDefinitions.logConfiguration.secretOptions.name", Refused("secrets are not built yet")),
    ("containerDefinitions.logConfiguration.secretOptions.valueFrom", Refused("secrets are not built yet")),
    ("containerDefinitions.memory", Built),
    ("containerDefinitions.memoryReservation", Built),
    ("containerDefinitions.mountPoints", Built),
    ("containerDefinitions.mountPoints.containerPath", Built),
    ("containerDefinitions.mountPoints.readOnly", Built),
    ("containerDefinitions.mountPoints.sourceVolume", Built),
    ("containerDefinitions.name", Built),
    ("containerDefinitions.portMappings", Built),
    ("containerDefinitions.portMappings.appProtocol", NoEffect(CONNECT)),
    ("containerDefinitions.portMappings.containerPort", Built),
    ("containerDefinitions.portMappings.containerPortRange", Built),
    ("containerDefinitions.portMappings.hostPort", Built),
    ("containerDefinitions.portMappings.name", NoEffect(CONNECT)),
    ("containerDefinitions.portMappings.protocol", Built),
    ("containerDefinitions.privileged", Built),
    ("containerDefinitions.pseudoTerminal", Built),
    ("containerDefinitions.readonlyRootFilesystem", Built),
    ("containerDefinitions.repositoryCredentials", Refused("Secrets Manager is not built yet")),
    (
        "containerDefinitions.repositoryCredentials.credentialsParameter",
        Refused("Secrets Manager is not built yet"),
    ),
    ("containerDefinitions.resourceRequirements", Built),
    ("containerDefinitions.resourceRequirements.sharingStrategy", Refused(ACCELERATORS)),
    ("containerDefinitions.resourceRequirements.sharingStrategy.nvidiaMps", Refused(ACCELERATORS)),
    (
        "containerDefinitions.resourceRequirements.sharingStrategy.nvidiaMps.maxComputePercent",
        Refused(ACCELERATORS),
    ),
    ("containerDefinitions.resourceRequirements.sharingStrategy.nvidiaMps.memory", Refused(ACCELERATORS)),
    (
        "containerDefinitions.resourceRequirements.type",
        Values(&["GPU"], "of the types of resources GPU is built; Elastic Inference has ended"),
    ),
    ("containerDefinitions.resourceRequirements.value", Built),
    ("containerDefinitions.restartPolicy", Built),
    ("containerDefinitions.restartPolicy.enabled", Built),
    ("containerDefinitions.restartPolicy.ignoredExitCodes", Built),
    ("containerDefinitions.restartPolicy.restartAttemptPeriod", Built),
    ("containerDefinitions.secrets", Refused("secrets are not built yet")),
    ("containerDefinitions.secrets.name", Refused("secrets are not built yet")),
    ("containerDefinitions.secrets.valueFrom", Refused("secrets are not built yet")),
    ("containerDefinitions.startTimeout", Built),
    ("containerDefinitions.stopTimeout", Built),
    ("containerDefinitions.systemControls", Built),
    ("containerDefinitions.systemControls.namespace", Built),
    ("containerDefinitions.systemControls.value", Built),
    ("containerDefinitions.ulimits", Built),
    ("containerDefinitions.ulimits.hardLimit", Built),
    ("containerDefinitions.ulimits.name", Built),
    ("containerDefinitions.ulimits.softLimit", Built),
    ("containerDefinitions.user", Built),
    ("containerDefinitions.versionConsistency", Built),
    ("containerDefinitions.volumesFrom", Built),
    ("containerDefinitions.volumesFrom.readOnly", Built),
    ("containerDefinitions.volumesFrom.sourceContainer", Built),
    ("containerDefinitions.workingDirectory", Built),
    ("cpu", Built),
    ("enableFaultInjection", Refused("fault injection is not built yet")),
    ("ephemeralStorage", Built),
    ("ephemeralStorage.sizeInGiB", Built),
    ("executionRoleArn", NoEffect(EXECUTION)),
    ("family", Built),
    ("inferenceAccelerators", Refused(INFERENCE)),
    ("inferenceAccelerators.deviceName", Refused(INFERENCE)),
    ("inferenceAccelerators.deviceType", Refused(INFERENCE)),
    ("ipcMode", Built),
    ("memory", Built),
    ("networkMode", Built),
    ("pidMode", Built),
    ("placementConstraints", Built),
    ("placementConstraints.expression", Built),
    ("placementConstraints.type", Built),
    ("proxyConfiguration", Refused("App Mesh is not built")),
    ("proxyConfiguration.containerName", Refused("App Mesh is not built")),
    ("proxyConfiguration.properties", Refused("App Mesh is not built")),
    ("proxyConfiguration.properties.name", Refused("App Mesh is not built")),
    ("proxyConfiguration.properties.value", Refused("App Mesh is not built")),
    ("proxyConfiguration.type", Refused("App Mesh is not built")),
    ("requiresCompatibilities", Built),
    ("runtimePlatform", Built),
    ("runtimePlatform.cpuArchitecture", Built),
    ("runtimePlatform.operatingSystemFamily", Built),
    ("tags", Built),
    ("tags.key", Built),
    ("tags.value", Built),
    ("taskRoleArn", Refused(ROLES)),
    ("trustedExecutionConfiguration", Built),
    ("trustedExecutionConfiguration.attestationPolicy", Refused("attestation is not built")),
    ("trustedExecutionConfiguration.isolationMode", Built),
    ("volumes", Built),
    ("volumes.configuredAtLaunch", Refused(VOLUMES)),
    ("volumes.dockerVolumeConfiguration", Refused(VOLUMES)),
    ("volumes.dockerVolumeConfiguration.autoprovision", Refused(VOLUMES)),
    ("volumes.dockerVolumeConfiguration.driver", Refused(VOLUMES)),
    ("volumes.dockerVolumeConfiguration.driverOpts", Refused(VOLUMES)),
    ("volumes.dockerVolumeConfiguration.labels", Refused(VOLUMES)),
    ("volumes.dockerVolumeConfiguration.scope", Refused(VOLUMES)),
    ("volumes.efsVolumeConfiguration", Refused(VOLUMES)),
    ("volumes.efsVolumeConfiguration.authorizationConfig", Refused(VOLUMES)),
    ("volumes.efsVolumeConfiguration.authorizationConfig.accessPointId", Refused(VOLUMES)),
    ("volumes.efsVolumeConfiguration.authorizationConfig.iam", Refused(VOLUMES)),
    ("volumes.efsVolumeConfiguration.fileSystemId", Refused(VOLUMES)),
    ("volumes.efsVolumeConfiguration.rootDirectory", Refused(VOLUMES)),
    ("volumes.efsVolumeConfiguration.transitEncryption", Refused(VOLUMES)),
    ("volumes.efsVolumeConfiguration.transitEncryptionPort", Refused(VOLUMES)),
    ("volumes.fsxWindowsFileServerVolumeConfiguration", Refused(VOLUMES)),
    ("volumes.fsxWindowsFileServerVolumeConfiguration.authorizationConfig", Refused(VOLUMES)),
    (
        "volumes.fsxWindowsFileServerVolumeConfiguration.authorizationConfig.credentialsParameter",
        Refused(VOLUMES),
    ),
    ("volumes.fsxWindowsFileServerVolumeConfiguration.authorizationConfig.domain", Refused(VOLUMES)),
    ("volumes.fsxWindowsFileServerVolumeConfiguration.fileSystemId", Refused(VOLUMES)),
    ("volumes.fsxWindowsFileServerVolumeConfiguration.rootDirectory", Refused(VOLUMES)),
    ("volumes.host", Built),
    ("volumes.host.sourcePath", Built),
    ("volumes.name", Built),
    ("volumes.s3filesVolumeConfiguration", Refused(VOLUMES)),
    ("volumes.s3filesVolumeConfiguration.accessPointArn", Refused(VOLUMES)),
    ("volumes.s3filesVolumeConfiguration.fileSystemArn", Refused(VOLUMES)),
    ("volumes.s3filesVolumeConfiguration.rootDirectory", Refused(VOLUMES)),
    ("volumes.s3filesVolumeConfiguration.transitEncryptionPort", Refused(VOLUMES)),
];

/// The options of each log driver; any other is refused.
pub const LOG_OPTIONS: &[(&str, &[&str])] = &[
    (
        "awslogs",
        &[
            "awslogs-create-group",
            "awslogs-datetime-format",
            "awslogs-group",
            "awslogs-multiline-pattern",
            "awslogs-region",
            "awslogs-stream-prefix",
            "max-buffer-size",
            "mode",
        ],
    ),
    ("json-file", &["max-buffer-size", "max-file", "max-size", "mode"]),
];

/// Those of one driver.
pub(super) fn log_options(driver: &str) -> &'static [&'static str] {
    LOG_OPTIONS.iter().find(|(name, _)| *name == driver).map_or(&[], |(_, options)| options)
}

/// The members of `overrides` of RunTask and StartTask, likewise.
pub const OVERRIDES: &[(&str, Support)] = &[
    ("containerOverrides", Built),
    ("containerOverrides.command", Built),
    ("containerOverrides.cpu", Built),
    ("containerOverrides.environment", Built),
    ("containerOverrides.environment.name", Built),
    ("containerOverrides.environment.value", Built),
    ("containerOverrides.environmentFiles", Refused(FILES)),
    ("containerOverrides.environmentFiles.type", Refused(FILES)),
    ("containerOverrides.environmentFiles.value", Refused(FILES)),
    ("containerOverrides.memory", Built),
    ("containerOverrides.memoryReservation", Built),
    ("containerOverrides.name", Built),
    ("containerOverrides.resourceRequirements", Refused(ACCELERATORS)),
    ("containerOverrides.resourceRequirements.sharingStrategy", Refused(ACCELERATORS)),
    ("containerOverrides.resourceRequirements.sharingStrategy.nvidiaMps", Refused(ACCELERATORS)),
    (
        "containerOverrides.resourceRequirements.sharingStrategy.nvidiaMps.maxComputePercent",
        Refused(ACCELERATORS),
    ),
    ("containerOverrides.resourceRequirements.sharingStrategy.nvidiaMps.memory", Refused(ACCELERATORS)),
    ("containerOverrides.resourceRequirements.type", Refused(ACCELERATORS)),
    ("containerOverrides.resourceRequirements.value", Refused(ACCELERATORS)),
    ("cpu", Built),
    ("ephemeralStorage", Built),
    ("ephemeralStorage.sizeInGiB", Built),
    ("executionRoleArn", NoEffect(EXECUTION)),
    ("inferenceAcceleratorOverrides", Refused(INFERENCE)),
    ("inferenceAcceleratorOverrides.deviceName", Refused(INFERENCE)),
    ("inferenceAcceleratorOverrides.deviceType", Refused(INFERENCE)),
    ("memory", Built),
    ("taskRoleArn", Refused(ROLES)),
];

/// The members that a daemon's task definition has beyond those, likewise. The others have to pass there.
pub const DAEMON_MEMBERS: &[(&str, Support)] = &[
    ("volumes", Built),
    ("volumes.logDriverVolumeConfiguration", Refused(LOG_FILES)),
    ("volumes.logDriverVolumeConfiguration.driver", Refused(LOG_FILES)),
];

/// Refuses a task definition that uses what is not built, or what has ended.
///
/// # Errors
/// `UnsupportedFeatureException` that names the member; where AWS refuses it too, its `ClientException`.
pub(super) fn check(request: &ecs::RegisterTaskDefinitionRequest) -> Result<(), Error> {
    if request.inference_accelerators.as_ref().is_some_and(|list| !list.is_empty()) {
        return Err(errors::client("Unsupported field 'inferenceAccelerators'."));
    }
    check_against(MEMBERS, "", request)
}

/// Refuses what a daemon's task definition uses that is not built, and that no other has.
///
/// # Errors
/// `UnsupportedFeatureException` that names the member.
pub(super) fn check_daemon(request: &ecs::RegisterDaemonTaskDefinitionRequest) -> Result<(), Error> {
    check_against(DAEMON_MEMBERS, "", request)
}

/// Refuses overrides that use what is not built.
///
/// # Errors
/// `UnsupportedFeatureException` that names the member.
pub(super) fn check_overrides(overrides: &ecs::TaskOverride) -> Result<(), Error> {
    check_against(OVERRIDES, "overrides.", overrides)
}

fn check_against(
    table: &'static [(&'static str, Support)],
    within: &'static str,
    given: &impl serde::Serialize,
) -> Result<(), Error> {
    let value = serde_json::to_value(given).expect("requests have string keys and finite numbers only");
    Check { table, within }.walk(&value, &mut String::new())
}

struct Check {
    table: &'static [(&'static str, Support)],
    /// What stands before the path in a message.
    within: &'static str,
}

impl Check {
    fn walk(&self, value: &Value, path: &mut String) -> Result<(), Error> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.walk(item, path)),
            Value::Object(members) => members.iter().try_for_each(|(name, member)| {
                let length = path.len();
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                let done = self.judge(member, path);
                path.truncate(length);
                done
            }),
            _ => Ok(()),
        }
    }

    fn judge(&self, member: &Value, path: &mut String) -> Result<(), Error> {
        match support(self.table, path) {
            Some(Refused(why)) if says_something(member) => Err(self.refusal(path, None, why)),
            Some(Refused(_) | NoEffect(_)) | None => Ok(()),
            Some(Values(built, why)) => match texts(member).find(|text| !built.contains(text)) {
                Some(text) => Err(self.refusal(path, Some(text), why)),
                None => Ok(()),
            },
            Some(Built) => self.walk(member, path),
        }
    }

    fn refusal(&self, path: &str, value: Option<&str>, why: &str) -> Error {
        let value = value.map(|value| format!(" {value}")).unwrap_or_default();
        let within = self.within;
        errors::unsupported_feature(format!(
            "{within}{path}{value} is not supported: {why}. See docs/support.md."
        ))
    }
}

/// What a table says of a path; `None` for what is below a map.
fn support(table: &[(&str, Support)], path: &str) -> Option<Support> {
    table.binary_search_by(|(known, _)| (*known).cmp(path)).ok().map(|at| table[at].1)
}

fn texts(member: &Value) -> impl Iterator<Item = &str> {
    let list = member.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().chain(std::iter::once(member)).filter_map(Value::as_str)
}

fn says_something(member: &Value) -> bool {
    match member {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Object(members) => members.values().any(says_something),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests;
