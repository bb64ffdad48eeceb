//! What container definitions have of Linux.

use ecs_model as ecs;

use super::{Shown, Stored, convert, convert_enum};
use crate::rows::*;

convert! { LinuxParameters:
    given capabilities, devices, init_process_enabled, shared_memory_size, tmpfs, max_swap, swappiness;
}

convert! { KernelCapabilities:
    given add, drop;
}

convert! { Device:
    given host_path, container_path, permissions;
}

convert! { Tmpfs:
    given container_path, size, mount_options;
}

convert_enum! { DeviceCgroupPermission: Read, Write, Mknod }
