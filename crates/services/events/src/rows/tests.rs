//! Golden rows: what version 1 of each kind looks like in the store, for as long as it is read.

use state::Table;

use super::Row;

const ID: &str = "00112233445566778899aabbccddeeff";

#[test]
fn rows_of_version_1_are_read_and_written_as_they_were() {
    let call = r#"{"principal":"events.amazonaws.com","service":"logs","operation":"PutLogEvents","input":{"logGroupName":"g"}}"#;
    let golden = [
        ("bus/b", r#"{"name":"b","description":"d","dead_letter":"q","log_level":"OFF","log_detail":"NONE","tags":{"k":"v"},"created_at":1700000000,"modified_at":1700000001}"#.to_owned()),
        ("policy/b", r#"{"bus":"b","version":"2012-10-17","statements":[{"Action":"events:PutEvents","Effect":"Allow","Principal":"*","Sid":"s"}]}"#.to_owned()),
        ("rule/b/r", r#"{"bus":"b","name":"r","pattern":"{\"source\":[\"a\"]}","schedule":"rate(1 day)","enabled":true,"description":"d","role_arn":"role","managed_by":"m","created_by":"000000000000","tags":{"k":"v"},"anchor":1700000000}"#.to_owned()),
        ("target/b/r/t", format!(r#"{{"bus":"b","rule":"r","id":"t","arn":"a","role_arn":"role","input":"{{}}","input_path":"$","transformer":{{"paths":{{"a":"$.a"}},"template":"<a>"}},"ecs":{{"task_definition":"d:1","count":1,"launch_type":"EC2","network":{{"subnets":["s"],"security_groups":["g"],"public_ip":"ENABLED"}},"platform_version":"1.4.0","group":"g","capacity_providers":[{{"name":"p","weight":1,"base":2}}],"managed_tags":true,"execute_command":false,"constraints":[["memberOf","e"]],"strategy":[["spread","f"]],"propagate_tags":"TASK_DEFINITION","reference_id":"ref","tags":[["k","v"]]}},"dead_letter":"q","retry":{{"attempts":1,"age_seconds":60}},"stream":"{ID}"}}"#)),
        ("schedule/r", r#"{"rule":"r","next":1700000000}"#.to_owned()),
        ("arrival/00112233445566778899aabbccddeeff", format!(r#"{{"id":"{ID}","bus":"b","event":"{{}}","forwarded":true,"ingested_at":1700000000,"only":"r","after":["r","t"]}}"#)),
        ("delivery/00112233445566778899aabbccddeeff", format!(r#"{{"id":"{ID}","bus":"b","rule":"r","target":"t","call":{call},"make_stream":true,"attempts":1,"made_at":1700000000,"not_before":1700000000.5,"ends":1700086400,"retries":185,"dead_letter":"q"}}"#)),
        ("sender/ecs/c", r#"{"sender":"ecs/c","sequence":7}"#.to_owned()),
        ("follow", r#"{"first":7,"until":1700000000}"#.to_owned()),
        ("passed/00000000000000000007", r#"{"number":7,"event":"{}"}"#.to_owned()),
        ("dead-letter/00000000000000000007", format!(r#"{{"number":7,"at":1700000000,"bus":"b","rule":"r","target":"t","call":{call},"attempts":186,"code":"c","message":"m","exhausted":"MaximumRetryAttempts","dead_letter":"q"}}"#)),
    ];
    for (path, row) in golden {
        let stored = format!(r#"{{"v":1,"row":{row}}}"#);
        let read = Row::decode(path, stored.as_bytes()).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(String::from_utf8(read.encode()).unwrap(), stored);
        assert!(read.weight() * 2 > stored.len(), "{path}: {}", read.weight());
    }
}
