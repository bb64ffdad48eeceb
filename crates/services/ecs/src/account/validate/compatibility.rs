//! Which compatibilities a task definition has: the table of what each of them asks for, and does not take. A definition is
//! checked against those that it requires; it has all those of which it breaks no rule.
//!
//! Words in which ECS is not known to say something follow the pattern of those in which it is: all of EXTERNAL and
//! MANAGED_INSTANCES, and of FARGATE `swappiness`, `tmpfs` and what is Windows'.

use ecs_model::{CPUArchitecture, Compatibility, LogDriver, NetworkMode, OSFamily, PidMode};

use Compatibility::{Ec2, External, Fargate, ManagedInstances};

use super::{Outcome, Task, require};
use crate::account::image::is_ecr;

/// What a definition lacks, in the words of ECS; `None` where it keeps the rule.
type Rule = fn(&Task<'_>) -> Option<String>;

/// What each asks for, the first that is broken first.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html>
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-anywhere.html>
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-instances-tasks-services.html>
const RULES: &[(Compatibility, Rule)] = &[
    (Fargate, |task| {
        let text = "Fargate only supports network mode \u{2018}awsvpc\u{2019}.";
        unless(task.mode == NetworkMode::Awsvpc, text)
    }),
    (Fargate, |task| unless(task.cpu.is_some(), "Fargate requires that 'cpu' be defined at the task level.")),
    (Fargate, |task| {
        unless(task.memory.is_some(), "Fargate requires that 'memory' be defined at the task level.")
    }),
    (Fargate, fargate_size),
    (Fargate, |task| {
        let privileged = task.containers.iter().any(|c| c.privileged == Some(true));
        let text = "Fargate requires that the \u{2018}privileged\u{2019} setting be \u{2018}false\u{2019} at the \
                    container level.";
        unless(!privileged, text)
    }),
    (Fargate, |task| {
        let text = "Tasks using the Fargate launch type do not support pidMode 'host'. The supported value for pidMode \
                    is 'task'.";
        unless(task.request.pid_mode != Some(PidMode::Host), text)
    }),
    (Fargate, |task| {
        let gpus = task.containers.iter().any(|c| some(&c.resource_requirements));
        unless(!gpus, "Tasks using the Fargate launch type do not support GPU resource requirements.")
    }),
    (Fargate, |task| {
        let all = task.linux().filter_map(|linux| linux.capabilities.as_ref());
        let other = all.flat_map(|all| all.add.iter().flatten()).find(|name| *name != "SYS_PTRACE")?;
        Some(format!("{other} is not allowed on Fargate."))
    }),
    (Fargate, |task| {
        let known = [LogDriver::Awslogs, LogDriver::Splunk, LogDriver::Awsfirelens];
        let other = task.log_drivers().find(|driver| !known.contains(driver))?;
        Some(format!(
            "{other} is not a valid log driver. Must be one of [{}]",
            known.map(|driver| driver.as_str()).join(",")
        ))
    }),
    (Fargate, |task| {
        let text =
            "Fargate requires task definition to have execution role ARN to support log driver awslogs.";
        unless(task.has_role() || !task.logs_to_awslogs(), text)
    }),
    (Fargate, |task| {
        let logs = task.containers.iter().filter_map(|c| c.log_configuration.as_ref());
        let mut logs = logs.filter(|log| log.log_driver == LogDriver::Awslogs);
        let prefixed = logs.all(|log| {
            let prefix = log.options.as_ref().and_then(|options| options.get("awslogs-stream-prefix"));
            prefix.is_some_and(|prefix| !prefix.is_empty())
        });
        let text = "Fargate requires log configuration options to include awslogs-stream-prefix to support log driver \
                    awslogs.";
        unless(prefixed, text)
    }),
    (Fargate, |task| {
        let text = "Fargate requires task definition to have execution role ARN to support ECR images.";
        unless(task.has_role() || !task.pulls_from_ecr(), text)
    }),
    (Fargate, |task| {
        let long = task.containers.iter().any(|c| c.stop_timeout.is_some_and(|seconds| seconds > 120));
        let text = "Tasks using the Fargate launch type must have a container stop timeout of less than 120 seconds.";
        unless(!long, text)
    }),
    (Fargate, fargate_windows),
    (External, |task| {
        unless(
            task.mode != NetworkMode::Awsvpc,
            "External only supports network modes 'bridge', 'host' and 'none'.",
        )
    }),
    (ManagedInstances, |task| {
        let fits = matches!(task.mode, NetworkMode::Awsvpc | NetworkMode::Host);
        unless(fits, "Managed Instances only supports network modes 'awsvpc' and 'host'.")
    }),
    (ManagedInstances, |task| {
        unless(!task.is_windows(), "Managed Instances only supports operatingSystemFamily LINUX.")
    }),
    (ManagedInstances, |task| {
        let text = "Managed Instances requires task definition to have execution role ARN to support log driver awslogs.";
        unless(task.has_role() || !task.logs_to_awslogs(), text)
    }),
    (ManagedInstances, |task| {
        let text =
            "Managed Instances requires task definition to have execution role ARN to support ECR images.";
        unless(task.has_role() || !task.pulls_from_ecr(), text)
    }),
];

/// A member as ECS names it, who does not take it, and whether a definition has it.
type Member = (&'static str, &'static [Compatibility], fn(&Task<'_>) -> bool);

/// What some do not take at all.
const MEMBERS: &[Member] = &[
    ("devices", &[Fargate], |task| task.linux().any(|linux| some(&linux.devices))),
    ("sharedMemorySize", &[Fargate, ManagedInstances], |task| {
        task.linux().any(|linux| linux.shared_memory_size.is_some())
    }),
    ("maxSwap", &[Fargate, ManagedInstances], |task| task.linux().any(|linux| linux.max_swap.is_some())),
    ("swappiness", &[Fargate, ManagedInstances], |task| task.linux().any(|linux| linux.swappiness.is_some())),
    ("tmpfs", &[Fargate, ManagedInstances], |task| task.linux().any(|linux| some(&linux.tmpfs))),
    ("dockerSecurityOptions", &[Fargate, ManagedInstances], |task| {
        task.containers.iter().any(|c| some(&c.docker_security_options))
    }),
    ("sourcePath", &[Fargate, ManagedInstances], |task| {
        let hosts = task.volumes().iter().filter_map(|volume| volume.host.as_ref());
        hosts.filter_map(|host| host.source_path.as_deref()).any(|path| !path.is_empty())
    }),
    ("constraints", &[Fargate], |task| some(&task.request.placement_constraints)),
    ("ipcMode", &[Fargate, ManagedInstances], |task| task.request.ipc_mode.is_some()),
    ("ephemeralStorage", &[External, ManagedInstances], |task| task.request.ephemeral_storage.is_some()),
    // Beyond ECS, which has it on Managed Instances only: here it is about who is given no host, as on Fargate.
    ("trustedExecutionConfiguration", &[Ec2, External], |task| {
        task.request.trusted_execution_configuration.is_some()
    }),
    ("disableNetworking", &[ManagedInstances], |task| {
        task.containers.iter().any(|c| c.disable_networking == Some(true))
    }),
    ("dnsServers", &[ManagedInstances], |task| task.containers.iter().any(|c| some(&c.dns_servers))),
    ("dnsSearchDomains", &[ManagedInstances], |task| {
        task.containers.iter().any(|c| some(&c.dns_search_domains))
    }),
    ("dockerLabels", &[ManagedInstances], |task| {
        task.containers.iter().any(|c| c.docker_labels.as_ref().is_some_and(|labels| !labels.is_empty()))
    }),
    ("extraHosts", &[ManagedInstances], |task| task.containers.iter().any(|c| some(&c.extra_hosts))),
    ("hostname", &[ManagedInstances], |task| {
        task.containers.iter().any(|c| c.hostname.as_ref().is_some_and(|name| !name.is_empty()))
    }),
    // What only Service Connect reads, which agents outside of AWS cannot have.
    ("names of port mappings", &[External], |task| {
        let mut ports = task.containers.iter().flat_map(|c| c.port_mappings.iter().flatten());
        ports.any(|port| port.name.is_some() || port.app_protocol.is_some())
    }),
];

/// CPU units, MiB from, to and in steps of, and whether Windows has it.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html>
const FARGATE_SIZES: &[(i64, i64, i64, i64, bool)] = &[
    (256, 512, 1024, 512, false),
    (256, 2048, 2048, 1024, false),
    (512, 1024, 4096, 1024, false),
    (1024, 2048, 8192, 1024, true),
    (2048, 4096, 16_384, 1024, true),
    (4096, 8192, 30_720, 1024, true),
    (8192, 16_384, 61_440, 4096, false),
    (16_384, 32_768, 122_880, 8192, false),
];

/// Checks a definition against what it requires.
pub(super) fn check(task: &Task<'_>) -> Outcome {
    let required = task.request.requires_compatibilities.as_deref().unwrap_or_default();
    for one in required {
        let broken = refusal(task, *one);
        require(broken.is_none(), || broken.unwrap_or_default())?;
    }
    let fargate = match required {
        [] => refusal(task, Fargate).is_none(),
        required => required.contains(&Fargate),
    };
    require(fargate || task.request.trusted_execution_configuration.is_none(), || {
        "trustedExecutionConfiguration is for tasks of launch type FARGATE only.".to_owned()
    })?;
    let Some(storage) = &task.request.ephemeral_storage else { return Ok(()) };
    require(fargate, || "Tasks using the EC2 launch type do not support EphemeralStorage.".to_owned())?;
    require(storage.size_in_gib >= 21, || "EphemeralStorage size should be at least 21".to_owned())?;
    require(storage.size_in_gib <= 200, || "EphemeralStorage size should be at most 200".to_owned())
}

/// All that a definition has, required or not.
pub(crate) fn compatibilities(request: &ecs_model::RegisterTaskDefinitionRequest) -> Vec<Compatibility> {
    let task = Task::of(request);
    let all = [External, Ec2, ManagedInstances, Fargate];
    all.into_iter().filter(|one| refusal(&task, *one).is_none()).collect()
}

/// The first rule of a compatibility that a definition breaks. EC2 has none that is not everybody's.
fn refusal(task: &Task<'_>, of: Compatibility) -> Option<String> {
    let mut rules = RULES.iter().filter(|(whose, _)| *whose == of);
    rules.find_map(|(_, rule)| rule(task)).or_else(|| {
        let (member, ..) = MEMBERS.iter().find(|(_, by, has)| by.contains(&of) && has(task))?;
        Some(format!("{} compatible task definitions do not support {member}", named(of)))
    })
}

fn named(compatibility: Compatibility) -> &'static str {
    match compatibility {
        Ec2 => "EC2",
        Fargate => "Fargate",
        External => "External",
        ManagedInstances => "Managed Instances",
    }
}

/// Whether Fargate has tasks of so many CPU units and MiB.
pub(crate) fn is_fargate_size(cpu: i64, memory: i64, is_windows: bool) -> bool {
    FARGATE_SIZES.iter().any(|(units, from, to, step, windows)| {
        *units == cpu
            && (*from..=*to).contains(&memory)
            && (memory - from) % step == 0
            && (*windows || !is_windows)
    })
}

fn fargate_size(task: &Task<'_>) -> Option<String> {
    let (cpu, memory) = task.cpu.zip(task.memory)?;
    let fits = is_fargate_size(cpu, memory, task.is_windows());
    let text = || {
        format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS \
             documentation for the valid values."
        )
    };
    (!fits).then(text)
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/windows-considerations.html>
fn fargate_windows(task: &Task<'_>) -> Option<String> {
    let family = task.family().filter(|_| task.is_windows())?;
    let old =
        [OSFamily::WindowsServer2016Full, OSFamily::WindowsServer2004Core, OSFamily::WindowsServer20h2Core];
    let platform = task.request.runtime_platform.as_ref();
    let arm = platform.is_some_and(|platform| platform.cpu_architecture == Some(CPUArchitecture::Arm64));
    let member = match () {
        () if old.contains(&family) => format!("operatingSystemFamily {family}"),
        () if arm => format!("cpuArchitecture ARM64 of operatingSystemFamily {family}"),
        () if task.request.ephemeral_storage.is_some() => {
            format!("ephemeralStorage of operatingSystemFamily {family}")
        }
        () if task.containers.iter().any(|c| some(&c.ulimits)) => {
            format!("ulimits of operatingSystemFamily {family}")
        }
        () => return None,
    };
    Some(format!("Fargate compatible task definitions do not support {member}"))
}

impl Task<'_> {
    fn linux(&self) -> impl Iterator<Item = &ecs_model::LinuxParameters> {
        self.containers.iter().filter_map(|container| container.linux_parameters.as_ref())
    }

    fn log_drivers(&self) -> impl Iterator<Item = LogDriver> {
        self.containers.iter().filter_map(|c| c.log_configuration.as_ref()).map(|log| log.log_driver)
    }

    fn logs_to_awslogs(&self) -> bool {
        self.log_drivers().any(|driver| driver == LogDriver::Awslogs)
    }

    fn pulls_from_ecr(&self) -> bool {
        self.containers.iter().filter_map(|c| c.image.as_deref()).any(is_ecr)
    }

    fn has_role(&self) -> bool {
        self.request.execution_role_arn.as_ref().is_some_and(|role| !role.is_empty())
    }
}

fn unless(holds: bool, text: &str) -> Option<String> {
    (!holds).then(|| text.to_owned())
}

fn some<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}
