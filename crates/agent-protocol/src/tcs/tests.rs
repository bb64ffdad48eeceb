//! Frames as the stock agent writes them.

use super::*;

const FRAME: &str = "Authorization: AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host;x-amz-date, Signature=0\r\n\
    Host: 127.0.0.1:39001\r\nX-Amz-Date: 20261123T045043Z\r\n\r\n\
    {\"type\":\"PublishMetricsRequest\",\"message\":{\"metadata\":{\"cluster\":\"c\",\"fin\":true,\"idle\":false},\
    \"taskMetrics\":[{\"containerMetrics\":[{\"containerName\":\"app\",\
    \"cpuStatsSet\":{\"max\":2.49,\"min\":2.49,\"sampleCount\":17,\"sum\":42.4},\"networkStatsSet\":{}}]}],\
    \"timestamp\":1700000000}}";

#[test]
fn a_signed_frame_is_taken_apart() {
    let frame = Frame::parse(FRAME).unwrap();
    assert_eq!(frame.header("host"), Some("127.0.0.1:39001"));
    assert_eq!(frame.headers.len(), 3);
    let Message::PublishMetricsRequest(metrics) = Message::decode(frame.body).unwrap() else {
        panic!("type")
    };
    let container = &metrics.task_metrics[0].container_metrics[0];
    assert_eq!(container.cpu_stats_set.as_ref().and_then(|cpu| cpu.sum), Some(42.4));
    assert_eq!(container.network_stats_set, Some(NetworkStatsSet::default()));
    assert_eq!(frame.write(), FRAME);
}

#[test]
fn a_bare_envelope_is_a_frame_too() {
    let frame = Frame::parse("{\"type\":\"HeartbeatMessage\",\"message\":{\"healthy\":true}}").unwrap();
    assert!(frame.headers.is_empty());
    assert_eq!(Message::decode(frame.body).unwrap(), HeartbeatMessage { healthy: Some(true) }.into());
}

#[test]
fn broken_headers_are_refused() {
    for (text, error) in [
        ("", FrameError::NoEnd),
        ("Host: a\r\n", FrameError::NoEnd),
        ("nonsense\r\n\r\n{}", FrameError::BadHeader),
    ] {
        assert_eq!(Frame::parse(text), Err(error), "{text:?}");
    }
    assert_eq!(Frame::parse(&"a: b\n".repeat(100)), Err(FrameError::BadHeader));
}
