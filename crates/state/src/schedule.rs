//! Schedule expressions of EventBridge rules and of EventBridge Scheduler: `rate(…)`, `cron(…)`, `at(…)`.
