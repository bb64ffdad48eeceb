//! GPUs, by their ids.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

/// Some GPUs of one host, in order. Few hosts and tasks have any, and one that has none has no room for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeSet<String>", into = "BTreeSet<String>")]
pub struct Gpus(Option<Arc<BTreeSet<String>>>);

impl Gpus {
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |ids| ids.len())
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|ids| ids.iter())
    }

    pub fn contains(&self, id: &String) -> bool {
        self.0.as_ref().is_some_and(|ids| ids.contains(id))
    }

    /// Takes these too.
    pub fn add(&mut self, other: &Gpus) {
        if !other.is_empty() {
            Arc::make_mut(self.0.get_or_insert_default()).extend(other.iter().cloned());
        }
    }

    /// Those that are not among others.
    pub fn without(&self, others: &Gpus) -> Gpus {
        self.iter().filter(|id| !others.contains(id)).cloned().collect()
    }
}

impl FromIterator<String> for Gpus {
    fn from_iter<T: IntoIterator<Item = String>>(ids: T) -> Gpus {
        BTreeSet::from_iter(ids).into()
    }
}

impl From<BTreeSet<String>> for Gpus {
    fn from(ids: BTreeSet<String>) -> Gpus {
        Gpus((!ids.is_empty()).then(|| Arc::new(ids)))
    }
}

impl From<Gpus> for BTreeSet<String> {
    fn from(gpus: Gpus) -> BTreeSet<String> {
        gpus.0.map(Arc::unwrap_or_clone).unwrap_or_default()
    }
}
