//! Container definitions.

use ecs_model as ecs;

use super::{Shown, Stored, convert, convert_enum};
use crate::rows::*;

convert! { ContainerDefinition:
    always name, image, cpu, port_mappings, environment, mount_points, volumes_from, system_controls;
    given memory, memory_reservation, links, essential, restart_policy, entry_point, command, linux_parameters, depends_on, start_timeout, stop_timeout, version_consistency, hostname, user, working_directory, disable_networking, privileged, readonly_root_filesystem, dns_servers, dns_search_domains, extra_hosts, docker_security_options, interactive, pseudo_terminal, docker_labels, ulimits, log_configuration, health_check, resource_requirements;
    never repository_credentials, environment_files, secrets, firelens_configuration, credential_specs;
}

convert! { PortMapping:
    always protocol;
    given container_port, host_port, name, app_protocol, container_port_range;
}

convert! { KeyValuePair:
    always name;
    given value;
}

convert! { MountPoint:
    always source_volume, container_path;
    given read_only;
}

convert! { VolumeFrom:
    always source_container;
    given read_only;
}

convert! { ContainerDependency:
    given container_name, condition;
}

convert! { HostEntry:
    given hostname, ip_address;
}

convert! { Ulimit:
    given name, soft_limit, hard_limit;
}

convert! { LogConfiguration:
    given log_driver, options;
    never secret_options;
}

convert! { HealthCheck:
    given command, interval, timeout, retries, start_period;
}

convert! { SystemControl:
    always namespace, value;
}

convert! { ContainerRestartPolicy:
    given enabled, ignored_exit_codes, restart_attempt_period;
}

convert! { ResourceRequirement:
    given value, r#type;
    never sharing_strategy;
}

convert_enum! { ResourceType: Gpu, InferenceAccelerator, NeuronDevice }

convert_enum! { TransportProtocol: Tcp, Udp }

convert_enum! { ApplicationProtocol: Http, Http2, Grpc }

convert_enum! { LogDriver: JsonFile, Syslog, Journald, Gelf, Fluentd, Awslogs, Splunk, Awsfirelens }

convert_enum! { UlimitName: Core, Cpu, Data, Fsize, Locks, Memlock, Msgqueue, Nice, Nofile, Nproc, Rss, Rtprio, Rttime, Sigpending, Stack }

convert_enum! { ContainerCondition: Start, Complete, Success, Healthy }

convert_enum! { VersionConsistency: Enabled, Disabled }
