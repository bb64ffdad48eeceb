//! Deployment alarms: what gives a deployment up besides its circuit breaker. Only an alarm that is in ALARM does; one
//! that has insufficient data, or is not there, says nothing.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html>

use state::contract::AlarmValue;

use super::Failure;
use crate::{
    cluster::{
        AlarmsRow, DeploymentAlarms, DeploymentConfiguration, ServiceDeploymentRollbackMonitorsStatus,
        ServiceDeploymentRow, Txn, Writes,
    },
    limits,
};

/// They give a deployment up, and that is rolled back.
const ROLLS_BACK: Failure = Failure {
    rollout_reason: "ECS deployment failed: alarm detected.",
    said: "alarm detected.",
    rolls_back: Some("ECS deployment failed: alarm detected"),
    status_reason: "Service deployment rolled back because an alarm was detected.",
};

/// They give a deployment up.
const STOPS: Failure = Failure {
    rolls_back: None,
    status_reason: "Service deployment stopped because an alarm was detected.",
    ..ROLLS_BACK
};

/// Those of a configuration that count.
pub fn of(configuration: &DeploymentConfiguration) -> Option<&DeploymentAlarms> {
    configuration.alarms.as_ref().filter(|alarms| alarms.enable)
}

/// What is watched of a deployment that begins now: nothing where an alarm is in ALARM already, as it may be the one that
/// the deployment is to end.
pub fn at_first(txn: &Txn, course: Option<&DeploymentConfiguration>) -> Option<AlarmsRow> {
    use ServiceDeploymentRollbackMonitorsStatus::{Disabled, Monitoring};
    let alarms = of(course?)?;
    let status = if in_alarm(txn, alarms).is_empty() { Monitoring } else { Disabled };
    Some(AlarmsRow { status, triggered: Vec::new() })
}

/// For how long a deployment is watched after its last task where nobody says: as the longest of its alarms takes, in
/// minutes.
pub fn bake_minutes(txn: &Txn, alarms: &DeploymentAlarms) -> i32 {
    let known = alarms.alarm_names.iter().filter_map(|name| txn.ports.alarms.alarm(name));
    let longest = known.map(|alarm| alarm.window_ms.max(0)).max().unwrap_or(0);
    i32::try_from((longest + 59_999) / 60_000).unwrap_or(i32::MAX).min(limits::ALARM_BAKE_MINUTES)
}

/// Whether the alarms of a deployment are looked at.
pub fn watches(row: &ServiceDeploymentRow) -> bool {
    let status = row.alarms.as_ref().map(|alarms| alarms.status);
    status == Some(ServiceDeploymentRollbackMonitorsStatus::Monitoring) && row.rollback.is_none()
}

/// Looks at the alarms of a deployment; gives what is to become of it, and its row as it is then, where one is in ALARM.
pub fn look(txn: &mut Txn, row: &ServiceDeploymentRow) -> Option<(&'static Failure, ServiceDeploymentRow)> {
    let alarms = row.course.as_ref().and_then(of).filter(|_| watches(row))?;
    let triggered = in_alarm(txn, alarms);
    if triggered.is_empty() {
        return None;
    }
    let status = ServiceDeploymentRollbackMonitorsStatus::Triggered;
    let why = if alarms.rollback { &ROLLS_BACK } else { &STOPS };
    let row = ServiceDeploymentRow { alarms: Some(AlarmsRow { status, triggered }), ..row.clone() };
    txn.put_service_deployment(row.clone());
    Some((why, row))
}

/// What is kept of them once a deployment has ended.
pub fn done(alarms: AlarmsRow) -> AlarmsRow {
    use ServiceDeploymentRollbackMonitorsStatus::{Monitoring, MonitoringComplete};
    let status = if alarms.status == Monitoring { MonitoringComplete } else { alarms.status };
    AlarmsRow { status, ..alarms }
}

fn in_alarm(txn: &Txn, alarms: &DeploymentAlarms) -> Vec<String> {
    let is_in_alarm =
        |name: &&String| txn.ports.alarms.alarm(name).is_some_and(|alarm| alarm.value == AlarmValue::Alarm);
    alarms.alarm_names.iter().filter(is_in_alarm).cloned().collect()
}
