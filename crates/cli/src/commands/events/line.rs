//! An event in one short line, for a terminal.

use serde_json::Value;

/// Characters of a detail that is shown as it is.
const DETAIL: usize = 100;

/// `10:00:00 ECS Task State Change  task/c/0123…  RUNNING, wanted RUNNING`.
pub fn of(event: &str) -> String {
    let Ok(event) = serde_json::from_str::<Value>(event) else { return event.to_owned() };
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    // `2026-11-29T10:00:00Z`
    let time = text("time").get(11..19).unwrap_or_default();
    let about = event["resources"][0].as_str().unwrap_or_default();
    // What follows `arn:aws:ecs:region:account:`.
    let about = about.splitn(6, ':').nth(5).unwrap_or(about);
    let parts = [time, text("detail-type"), about, &detail(&event["detail"])];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    // Whoever sends events may not write to a terminal as it likes.
    parts.collect::<Vec<_>>().join("  ").chars().filter(|c| !c.is_control()).collect()
}

fn detail(detail: &Value) -> String {
    let text = |name: &str| detail[name].as_str();
    let mut words: Vec<String> = Vec::new();
    if let Some(name) = text("eventName") {
        words.push(name.to_owned());
        words.extend(text("reason").map(str::to_owned));
    } else if let (Some(last), Some(desired)) = (text("lastStatus"), text("desiredStatus")) {
        words.push(last.to_owned());
        if last != desired {
            words.push(format!("wanted {desired}"));
        }
        words.extend(text("group").map(str::to_owned));
        words.extend(text("stoppedReason").filter(|_| last == "STOPPED").map(str::to_owned));
        for container in detail["containers"].as_array().into_iter().flatten() {
            if let (Some(name), Some(code)) = (container["name"].as_str(), container["exitCode"].as_i64()) {
                words.push(format!("{name} exited with {code}"));
            }
        }
    } else if let (Some(status), Some(connected)) = (text("status"), detail["agentConnected"].as_bool()) {
        words.push(status.to_owned());
        words.push(if connected { "agent connected" } else { "agent not connected" }.to_owned());
        for resource in detail["remainingResources"].as_array().into_iter().flatten() {
            if let (Some(name), Some(left)) = (resource["name"].as_str(), resource["integerValue"].as_i64()) {
                words.push(format!("{name} {left} left"));
            }
        }
    } else {
        let all = detail.to_string();
        let short: String = all.chars().take(DETAIL).collect();
        words.push(if short.len() < all.len() { format!("{short}…") } else { all });
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(detail_type: &str, resource: &str, detail: Value) -> String {
        let resources: Vec<String> = Some(format!("arn:aws:ecs:us-east-1:000000000000:{resource}"))
            .filter(|_| !resource.is_empty())
            .into_iter()
            .collect();
        json!({
            "version": "0", "id": "i", "detail-type": detail_type, "source": "s", "account": "000000000000",
            "time": "2026-11-29T10:11:12Z", "region": "us-east-1", "resources": resources, "detail": detail,
        })
        .to_string()
    }

    #[test]
    fn a_line_says_what_happened_to_what() {
        let resource = |name: &str, left: i32| json!({"name": name, "integerValue": left});
        for (event, expected) in [
            (
                event(
                    "ECS Task State Change",
                    "task/c/1",
                    json!({"lastStatus": "RUNNING", "desiredStatus": "RUNNING", "group": "family:web"}),
                ),
                "10:11:12  ECS Task State Change  task/c/1  RUNNING, family:web",
            ),
            (
                event(
                    "ECS Task State Change",
                    "task/c/1",
                    json!({
                        "lastStatus": "STOPPED", "desiredStatus": "STOPPED", "group": "family:web",
                        "stoppedReason": "Essential container in task exited",
                        "containers": [{"name": "app", "exitCode": 3}],
                    }),
                ),
                "10:11:12  ECS Task State Change  task/c/1  STOPPED, family:web, Essential container in task exited, \
                 app exited with 3",
            ),
            (
                event(
                    "ECS Container Instance State Change",
                    "container-instance/c/1",
                    json!({
                        "status": "ACTIVE", "agentConnected": true,
                        "remainingResources": [resource("CPU", 5), resource("MEMORY", 6), {"name": "PORTS"}],
                    }),
                ),
                "10:11:12  ECS Container Instance State Change  container-instance/c/1  ACTIVE, agent connected, \
                 CPU 5 left, MEMORY 6 left",
            ),
            (
                event("ECS Service Action", "service/c/s", json!({"eventName": "E", "reason": "AGENT"})),
                "10:11:12  ECS Service Action  service/c/s  E, AGENT",
            ),
            (event("T", "", json!({"a": "\u{7}b"})), "10:11:12  T  {\"a\":\"\\u0007b\"}"),
            ("no JSON".to_owned(), "no JSON"),
        ] {
            assert_eq!(of(&event), expected);
        }
        let long = of(&event("T\u{1b}[2J", "", json!({"text": "x".repeat(300)})));
        assert!(long.ends_with("xxx…") && long.len() < 150 && !long.contains('\u{1b}'), "{long}");
    }
}
