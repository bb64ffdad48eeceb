//! In which state alarms are: said by the domain that evaluates them, and looked at by whoever acts on them.

use serde::{Deserialize, Serialize};

use crate::Row;

/// What an alarm says, as the domain that evaluates it last wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmState {
    /// Its name, unique in its account and region.
    pub name: String,
    pub value: AlarmValue,
    /// For how long something has to be watched until this alarm would have said so, in milliseconds: its period, as often
    /// as it evaluates it.
    #[serde(default)]
    pub window_ms: i64,
}

/// The state of an alarm, in the words of CloudWatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlarmValue {
    #[serde(rename = "OK")]
    Ok,
    #[serde(rename = "ALARM")]
    Alarm,
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

impl Row for AlarmState {
    fn weight(&self) -> usize {
        128 + self.name.len()
    }
}

/// A look at the alarms of one account and region.
pub trait Alarms: Send + Sync {
    /// The alarm of that name; none where there is no such alarm, or nobody evaluates any.
    fn alarm(&self, name: &str) -> Option<AlarmState>;
}

/// Nobody evaluates alarms.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAlarms;

impl Alarms for NoAlarms {
    fn alarm(&self, _name: &str) -> Option<AlarmState> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_stored_as_it_was_in_version_1() {
        let golden = r#"{"v":1,"row":{"name":"errors","value":"INSUFFICIENT_DATA","window_ms":60000}}"#;
        let row: AlarmState = crate::row::decode(golden.as_bytes()).unwrap();
        assert_eq!((row.value, row.window_ms), (AlarmValue::InsufficientData, 60_000));
        assert_eq!(String::from_utf8(crate::row::encode(&row)).unwrap(), golden);
        assert_eq!(NoAlarms.alarm("errors"), None);
    }
}
