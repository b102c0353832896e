//! The strict `traceparent` reader against cases of W3C's own test suite.

use serde_json::Value;
use tierscope_wire::http::{Head, parse_head};

const SAMPLES: &str = include_str!("data/w3c-sample.json");

#[test]
fn a_trace_continues_exactly_where_w3c_says() {
    let samples: Vec<Value> = serde_json::from_str(SAMPLES).expect("JSON");
    let mut judged = 0;
    for sample in &samples {
        let Some(expected) = sample["expect_traceparent"].as_str() else {
            continue;
        };
        let mut request = String::from("GET / HTTP/1.1\r\n");
        for header in sample["headers"].as_array().expect("headers") {
            let text = |at: usize| header[at].as_str().expect("text");
            request += &format!("{}:{}\r\n", text(0), text(1));
        }
        let Head::Request(head) = parse_head((request + "\r\n").as_bytes()) else {
            panic!("{}: not read", sample["test"])
        };
        let continued = head
            .traceparent
            .map(|traceparent| traceparent.trace_id.to_string());
        match expected {
            "continue" => assert_eq!(
                continued.as_deref(),
                Some("12345678901234567890123456789012"),
                "{}",
                sample["test"]
            ),
            _ => assert_eq!(continued, None, "{}", sample["test"]),
        }
        judged += 1;
    }
    assert_eq!(judged, 15);
}

#[test]
fn edges_that_the_sample_leaves_out() {
    let tail = "12345678901234567890123456789012-1234567890123456-01";
    let parsed = |values: &[String]| {
        let lines: String = values
            .iter()
            .map(|value| format!("traceparent: {value}\r\n"))
            .collect();
        match parse_head(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()) {
            Head::Request(head) => head.traceparent,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        parsed(&[format!("00-{tail}")]).map(|traceparent| traceparent.flags),
        Some(1)
    );
    for good in [format!("cc-{tail}"), format!("cc-{tail}-more")] {
        assert!(parsed(std::slice::from_ref(&good)).is_some(), "{good}");
    }
    for bad in [
        format!("ff-{tail}"),
        format!("00-{}", tail.replace('1', "A")),
        format!("00-{tail}é"),
    ] {
        assert!(parsed(std::slice::from_ref(&bad)).is_none(), "{bad}");
    }
    assert!(
        parsed(&[format!("00-{tail}"), format!("00-{tail}")]).is_none(),
        "two"
    );
}
