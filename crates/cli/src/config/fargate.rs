//! `[fargate]`: tasks of launch type FARGATE on this host.

use std::path::PathBuf;

use engine::Isolation;
use engine::native::IdPool;
use serde::Deserialize;

use super::Error;

/// Tasks of launch type FARGATE on this host.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default)]
pub struct Fargate {
    /// Whether this host is given to Fargate, beside its other tasks. Default: with `up` it is, with `agent` not.
    pub serve: Option<bool>,
    /// The wall around each: `namespaces`, `gvisor`, or `none`. Default `namespaces`.
    pub isolation: String,
    /// gVisor's program, by its path or by a name that is looked for on the PATH. Default `runsc`.
    pub runsc: PathBuf,
    /// The first user and group id of this host that is for such tasks, each of which has 65,536 of its own. Default
    /// 1879048192.
    pub first_id: u32,
    /// How many such tasks can have ids at a time. Default 4096.
    pub tasks: u32,
}

impl Default for Fargate {
    fn default() -> Fargate {
        let IdPool { first, tasks } = IdPool::default();
        Fargate {
            serve: None,
            isolation: Isolation::Namespaces.name().to_owned(),
            runsc: "runsc".into(),
            first_id: first,
            tasks,
        }
    }
}

impl Fargate {
    /// The wall.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn isolation(&self) -> Result<Isolation, Error> {
        self.isolation.parse().map_err(|message| Error::Value { key: "fargate.isolation", message })
    }

    /// The ids.
    pub fn ids(&self) -> IdPool {
        IdPool { first: self.first_id, tasks: self.tasks }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.isolation()?;
        if self.runsc.as_os_str().is_empty()
            || (self.runsc.components().count() > 1 && !self.runsc.is_absolute())
        {
            let message = "it is the absolute path of a program, or a name without a slash".to_owned();
            return Err(Error::Value { key: "fargate.runsc", message });
        }
        self.ids().check().map_err(|message| Error::Value { key: "fargate.first_id", message })
    }
}
