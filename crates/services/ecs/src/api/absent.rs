//! Values of ECS's members that ask for nothing: what each member has when it is not given. Tools send them all
//! the same. What is empty in a member that is refused is not listed here: the gate takes it out by itself.

use state::api::{
    Absent,
    Neutral::{self, Empty, Off, Other, Text, Zero},
};

const DEFINE: &[&str] = &["RegisterTaskDefinition"];
/// Those of daemons have some of the members.
const ALL_DEFINE: &[&str] = &["RegisterTaskDefinition", "RegisterDaemonTaskDefinition"];
const TASKS: &[&str] = &["RunTask", "StartTask"];
const SERVICES: &[&str] = &["CreateService", "UpdateService"];
const DAEMONS: &[&str] = &["CreateDaemon", "UpdateDaemon"];
const NETWORKED: &[&str] = &["RunTask", "StartTask", "CreateService", "UpdateService", "CreateTaskSet"];
const STARTED: &[&str] = &["RunTask", "CreateService", "UpdateService", "CreateTaskSet"];

const fn of(operations: &'static [&'static str], member: &'static str, value: Neutral) -> Absent {
    Absent { operations, member, value }
}

/// The table.
pub static ABSENT: &[Absent] = &[
    // Task definitions. Those that are refused where they say something stand in the service's table too.
    of(ALL_DEFINE, "cpu", Empty),
    of(ALL_DEFINE, "memory", Empty),
    of(DEFINE, "networkMode", Empty),
    of(ALL_DEFINE, "executionRoleArn", Empty),
    of(ALL_DEFINE, "pidMode", Empty),
    of(ALL_DEFINE, "ipcMode", Empty),
    of(DEFINE, "inferenceAccelerators", Empty),
    of(DEFINE, "ephemeralStorage.sizeInGiB", Zero),
    of(DEFINE, "ephemeralStorage", Empty),
    of(DEFINE, "trustedExecutionConfiguration", Empty),
    of(DEFINE, "runtimePlatform.cpuArchitecture", Empty),
    of(DEFINE, "runtimePlatform.operatingSystemFamily", Empty),
    of(DEFINE, "runtimePlatform", Empty),
    of(DEFINE, "volumes.dockerVolumeConfiguration", Empty),
    of(DEFINE, "volumes.efsVolumeConfiguration.authorizationConfig.iam", Text("DISABLED")),
    of(DEFINE, "volumes.efsVolumeConfiguration.transitEncryption", Text("DISABLED")),
    of(DEFINE, "volumes.efsVolumeConfiguration.transitEncryptionPort", Zero),
    of(DEFINE, "volumes.efsVolumeConfiguration", Empty),
    of(DEFINE, "volumes.fsxWindowsFileServerVolumeConfiguration", Empty),
    of(DEFINE, "volumes.s3filesVolumeConfiguration", Empty),
    of(DEFINE, "containerDefinitions.credentialSpecs", Empty),
    of(ALL_DEFINE, "containerDefinitions.environmentFiles", Empty),
    of(ALL_DEFINE, "containerDefinitions.firelensConfiguration", Empty),
    of(ALL_DEFINE, "containerDefinitions.healthCheck", Empty),
    of(DEFINE, "containerDefinitions.linuxParameters.sharedMemorySize", Zero),
    of(ALL_DEFINE, "containerDefinitions.logConfiguration.secretOptions", Empty),
    of(ALL_DEFINE, "containerDefinitions.logConfiguration", Empty),
    of(DEFINE, "containerDefinitions.portMappings.appProtocol", Empty),
    of(DEFINE, "containerDefinitions.portMappings.containerPortRange", Empty),
    of(DEFINE, "containerDefinitions.portMappings.name", Empty),
    // ECS takes any other word for `tcp`.
    // <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html>
    of(DEFINE, "containerDefinitions.portMappings.protocol", Other(&["tcp", "udp"])),
    of(ALL_DEFINE, "containerDefinitions.repositoryCredentials", Empty),
    of(DEFINE, "containerDefinitions.resourceRequirements", Empty),
    of(DEFINE, "containerDefinitions.resourceRequirements.sharingStrategy", Empty),
    of(ALL_DEFINE, "containerDefinitions.restartPolicy.restartAttemptPeriod", Zero),
    of(ALL_DEFINE, "containerDefinitions.secrets", Empty),
    of(ALL_DEFINE, "containerDefinitions.startTimeout", Zero),
    of(ALL_DEFINE, "containerDefinitions.stopTimeout", Zero),
    of(DEFINE, "containerDefinitions.versionConsistency", Empty),
    // Tasks.
    of(TASKS, "overrides.cpu", Empty),
    of(TASKS, "overrides.memory", Empty),
    of(TASKS, "overrides.executionRoleArn", Empty),
    of(TASKS, "overrides.taskRoleArn", Empty),
    of(TASKS, "overrides.ephemeralStorage.sizeInGiB", Zero),
    of(TASKS, "overrides.ephemeralStorage", Empty),
    of(TASKS, "overrides.inferenceAcceleratorOverrides", Empty),
    of(TASKS, "overrides.containerOverrides.command", Empty),
    of(TASKS, "overrides.containerOverrides.environment", Empty),
    of(TASKS, "overrides.containerOverrides.environmentFiles", Empty),
    of(TASKS, "overrides.containerOverrides.memory", Zero),
    of(TASKS, "overrides.containerOverrides.memoryReservation", Zero),
    of(TASKS, "overrides.containerOverrides.resourceRequirements", Empty),
    of(TASKS, "group", Empty),
    of(TASKS, "startedBy", Empty),
    of(TASKS, "propagateTags", Empty),
    of(TASKS, "referenceId", Empty),
    of(&["RunTask", "CreateService", "CreateTaskSet"], "clientToken", Empty),
    of(&["RunTask", "CreateService", "CreateTaskSet"], "launchType", Empty),
    of(&["RunTask", "CreateService", "CreateTaskSet"], "capacityProviderStrategy", Empty),
    of(&["CreateCluster"], "capacityProviders", Empty),
    of(&["CreateCluster"], "defaultCapacityProviderStrategy", Empty),
    // Services.
    of(SERVICES, "propagateTags", Empty),
    of(SERVICES, "availabilityZoneRebalancing", Empty),
    of(SERVICES, "serviceConnectConfiguration", Off("enabled")),
    of(SERVICES, "deploymentConfiguration.canaryConfiguration", Empty),
    of(SERVICES, "deploymentConfiguration.earlySuccessCriteria", Empty),
    of(SERVICES, "deploymentConfiguration.linearConfiguration", Empty),
    of(SERVICES, "deploymentConfiguration.strategy", Empty),
    of(SERVICES, "deploymentConfiguration.deploymentCircuitBreaker", Empty),
    of(SERVICES, "deploymentController", Empty),
    of(&["CreateService"], "schedulingStrategy", Empty),
    // Daemons.
    of(DAEMONS, "propagateTags", Empty),
    of(DAEMONS, "deploymentConfiguration.bakeTimeInMinutes", Zero),
    of(DAEMONS, "deploymentConfiguration.alarms", Off("enable")),
    of(&["CreateDaemon"], "clientToken", Empty),
    // Both.
    of(STARTED, "platformVersion", Text("LATEST")),
    of(NETWORKED, "networkConfiguration.awsvpcConfiguration.assignPublicIp", Text("DISABLED")),
    of(NETWORKED, "networkConfiguration", Empty),
];
