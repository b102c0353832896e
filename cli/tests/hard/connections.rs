//! Several requests on one connection, and their bytes cut otherwise than the messages.

use std::{thread::sleep, time::Duration};

use tierscope_model::attr;

use super::{
    puppet::{Puppet, request},
    stage::Stage,
};

const ORDER: &str = r#"{"user_id":9,"product_id":3,"quantity":2}"#;

/// Every endpoint twice over two connections, requests of one while the other waits, one answered
/// with 404 and one with a transaction behind it.
#[test]
fn a_connection_is_reused_by_different_requests() {
    let Some(stage) = Stage::up(&[]) else { return };
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let [slow, quick] = [(); 2].map(|()| client.connect(stage.lab.nginx));
    let mut all = Vec::new();
    for turn in 0..2 {
        client.send(
            slow,
            &request("GET", "/api/users", &["X-Lab-Fault: db_ms=50"], ""),
        );
        for path in [
            format!("/api/users/{}", 10 + turn),
            format!("/api/users/{}/orders", 20 + turn),
            "/api/products/search?q=red".to_owned(),
            format!("/api/report/{}", 30 + turn),
            "/no/such/page".to_owned(),
            "/health".to_owned(),
        ] {
            all.push(client.ask(quick, "GET", &path, &[]));
        }
        client.send(quick, &request("POST", "/api/orders", &[], ORDER));
        all.push(client.answer(quick, "POST", "/api/orders"));
        all.push(client.answer(slow, "GET", "/api/users"));
    }
    let seen = stage.close(recording);
    seen.sound().without_orphans();
    assert_eq!(seen.traces.len(), all.len());
    for asked in &all {
        seen.whole(asked);
    }
    let statuses: Vec<_> = all.iter().map(|asked| asked.status).collect();
    assert_eq!(statuses[..8], [200, 200, 200, 200, 404, 200, 201, 200]);
    assert!(seen.verdicts.correct > 20, "{:?}", seen.verdicts);
}

#[test]
fn requests_in_one_segment_and_one_over_many() {
    let Some(stage) = Stage::up(&[]) else { return };
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let line = client.connect(stage.lab.nginx);
    let paths = ["/api/users/1", "/api/users/2/orders", "/api/report/3"];
    let get = |path| request("GET", path, &[], "");
    client.send(line, &paths.map(get).concat());
    let mut all: Vec<_> = paths
        .map(|path| client.answer(line, "GET", path))
        .into_iter()
        .collect();

    let long = request("POST", "/api/orders", &["X-Filler: 0123456789"], ORDER);
    for piece in long.chunks(9) {
        client.send(line, piece);
        sleep(Duration::from_millis(2));
    }
    all.push(client.answer(line, "POST", "/api/orders"));
    // What comes after shows that the order was not lost.
    all.push(client.ask(line, "GET", "/api/users/4", &[]));

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    assert_eq!(seen.traces.len(), all.len());
    for asked in &all {
        seen.whole(asked);
    }
    let lengths = all.iter().map(|asked| {
        let trace = seen.trace(asked.id);
        range_length(trace.spans[0].attributes.text(attr::REQUEST_RANGE))
    });
    let mut sent: Vec<_> = paths.map(|path| get(path).len()).into_iter().collect();
    sent.extend([long.len(), get("/api/users/4").len()]);
    assert_eq!(lengths.collect::<Vec<_>>(), sent);
}

/// The bytes in `socket>socket:from-to`.
pub fn range_length(range: Option<&str>) -> usize {
    let (_, bytes) = range
        .and_then(|text| text.split_once(':'))
        .expect("a range");
    let (from, to) = bytes.split_once('-').expect("two ends");
    let number = |text: &str| text.parse::<u32>().expect("a sequence number");
    number(to).wrapping_sub(number(from)) as usize
}
