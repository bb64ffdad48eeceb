//! Measures the matcher of event patterns on one core: `cargo bench -p events`.
//!
//! Prints one line a figure. Compares with nothing by itself.

// It measures.
#![allow(clippy::disallowed_types)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::pattern::{Matcher, Pattern};

const LEAST: Duration = Duration::from_secs(2);

fn main() {
    for rules in [10, 1_000, 10_000] {
        let start = Instant::now();
        let matcher = matcher(rules);
        println!("{rules} rules: built in {:?}", start.elapsed());
        let texts: Vec<String> = (0..64).map(event).collect();
        let (events, found, took) = measure(|at| {
            let found = matcher.find(&texts[at % texts.len()]).expect("an event");
            black_box(found.rules.len())
        });
        let second = events as f64 / took.as_secs_f64();
        println!("{rules} rules: {second:.0} events/s, {:.2} rules an event", found as f64 / events as f64);
    }
}

/// Runs until the time is up; how often it ran, the sum of what it gave, and how long it took.
fn measure(mut run: impl FnMut(usize) -> usize) -> (usize, usize, Duration) {
    let (start, mut events, mut found) = (Instant::now(), 0, 0);
    while events % 256 != 0 || start.elapsed() < LEAST {
        found += run(events);
        events += 1;
    }
    (events, found, start.elapsed())
}

/// Rules of many services, each with an operator of another kind.
fn matcher(rules: usize) -> Matcher<usize> {
    let mut matcher = Matcher::new();
    for rule in 0..rules {
        let detail = match rule % 8 {
            0 => format!(r#""group": ["service:web-{rule}"]"#),
            1 => format!(r#""group": [{{"prefix": "service:job-{rule}-"}}], "lastStatus": ["STOPPED"]"#),
            2 => format!(r#""clusterArn": [{{"suffix": "/cluster-{rule}"}}]"#),
            3 => format!(r#""version": [{{"numeric": [">", {rule}, "<", {}]}}]"#, rule + 3),
            4 => format!(r#""stoppedReason": [{{"wildcard": "*exit {rule}*code*"}}]"#),
            5 => format!(
                r#""containers": {{"name": ["sidecar-{rule}"], "exitCode": [{{"anything-but": 0}}]}}"#
            ),
            6 => format!(
                r#""desiredStatus": [{{"anything-but": ["RUNNING", "{rule}"]}}], "group": ["{rule}"]"#
            ),
            _ => format!(r#""stopCode": [{{"equals-ignore-case": "code{rule}"}}]"#),
        };
        let source = ["aws.ecs", "aws.ec2", "com.example.shop"][rule % 3];
        let text = format!(
            r#"{{"source": ["{source}"], "detail-type": ["ECS Task State Change"], "detail": {{{detail}}}}}"#
        );
        matcher.insert(rule, Arc::new(Pattern::parse(&text).expect("a pattern")));
    }
    matcher
}

/// A state change of a task, as ECS sends it.
fn event(number: usize) -> String {
    let arn = "arn:aws:ecs:us-east-1:123456789012";
    format!(
        r#"{{"version": "0", "id": "315c1398-40ff-a850-213b-15877{number:07}", "detail-type": "ECS Task State Change",
"source": "aws.ecs", "account": "123456789012", "time": "2026-11-28T22:13:20Z", "region": "us-east-1",
"resources": ["{arn}:task/default/{number:032x}"], "detail": {{
"clusterArn": "{arn}:cluster/default", "containerInstanceArn": "{arn}:container-instance/default/{number:032x}",
"containers": [
  {{"containerArn": "{arn}:container/a", "lastStatus": "STOPPED", "name": "sidecar-{number}", "exitCode": 137,
    "taskArn": "{arn}:task/default/{number:032x}", "networkInterfaces": [], "cpu": "10", "memory": "500"}},
  {{"containerArn": "{arn}:container/b", "lastStatus": "STOPPED", "name": "web", "exitCode": 0,
    "taskArn": "{arn}:task/default/{number:032x}", "networkInterfaces": [], "cpu": "10", "memory": "500"}}],
"createdAt": "2026-11-28T22:10:00Z", "launchType": "EC2", "cpu": "20", "memory": "1000", "desiredStatus": "STOPPED",
"group": "service:web-{number}", "lastStatus": "STOPPED", "overrides": {{"containerOverrides": [{{"name": "web"}}]}},
"stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
"taskArn": "{arn}:task/default/{number:032x}", "taskDefinitionArn": "{arn}:task-definition/web:{number}",
"updatedAt": "2026-11-28T22:13:20Z", "version": {number}}}}}"#
    )
}
