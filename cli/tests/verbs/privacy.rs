//! What users send and what queries carry does not reach the disk.

use std::fs;

use crate::support::{Lab, Recording, Scratch, may_trace, tierscope};

/// In query string, header lines, cookie and body.
const SECRETS: [&str; 6] = [
    "hunter2-token",
    "hunter2-word",
    "hunter2-bearer",
    "hunter2-cookie",
    "hunter2-agent",
    "hunter2-body",
];

#[test]
fn secrets_are_not_in_the_recording() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let recording = Recording::start(&lab, scratch.path("scrubbed.tsrec"), &[]);
    let mut secrets = send_secrets(&lab);
    let (file, _) = (recording.file.clone(), recording.stop());
    let raw = unpacked(&file);
    assert!(contains(&raw, "/api/products/search"), "paths are kept");
    assert!(contains(&raw, "SELECT"), "statements are kept");
    tierscope(&["assemble", &file]).with(0);
    let traces = fs::read(scratch.path("traces.jsonl")).expect("traces");
    assert!(contains(&traces, "/api/products/search"));
    for secret in &secrets {
        assert!(!contains(&raw, secret), "{secret} is in the recording");
        assert!(!contains(&traces, secret), "{secret} is in the traces");
    }

    // The same with --keep-text: what is looked for above would be found.
    let kept = Recording::start(&lab, scratch.path("kept.tsrec"), &["--keep-text"]);
    secrets.retain(|secret| secret != SECRETS[5]);
    send_secrets(&lab);
    let file = kept.file.clone();
    let said = kept.stop().err;
    assert!(said.contains("what users sent"), "{said}");
    let raw = unpacked(&file);
    for secret in &secrets {
        assert!(contains(&raw, secret), "{secret} is not even in this one");
    }
}

/// Sends them, and adds one that the database answers with.
fn send_secrets(lab: &Lab) -> Vec<String> {
    let [token, word, bearer, cookie, agent, body] = SECRETS;
    let headers = [
        format!("Authorization: Bearer {bearer}"),
        format!("Cookie: session={cookie}"),
        format!("User-Agent: {agent}"),
    ];
    let headers: Vec<_> = headers.iter().map(|line| line.as_bytes()).collect();
    let search = format!("/api/products/search?q={word}&token={token}");
    assert_eq!(lab.get(search.as_bytes(), &headers).status(), "200");
    let order = format!(r#"{{"user_id":1,"product_id":1,"quantity":1,"note":"{body}"}}"#);
    let post = format!(
        "POST /api/orders HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{order}",
        order.len()
    );
    lab.send(post.as_bytes());
    let user = lab.get(b"/api/users/77", &[]);
    let user: serde_json::Value = serde_json::from_str(user.body()).expect("a user");
    let email = user["user"]["email"]
        .as_str()
        .expect("an address")
        .to_owned();
    let mut secrets: Vec<_> = SECRETS.map(str::to_owned).into();
    secrets.push(email);
    secrets
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Every byte that a recording holds: its header's, and its blocks' with their compression undone.
fn unpacked(path: &str) -> Vec<u8> {
    let file = fs::read(path).expect("a recording");
    let number = |at: usize| {
        let bytes = file[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    let (magic, header) = (8, number(8));
    let mut raw = file[magic..magic + 4 + header].to_vec();
    let mut at = magic + 4 + header + 4;
    while at < file.len() {
        assert_eq!(&file[at..at + 4], b"TSBK");
        let (codec, size, stored) = (number(at + 4), number(at + 12), number(at + 16));
        at += 24;
        let block = &file[at..at + stored];
        raw.extend(match codec {
            0 => block.to_vec(),
            _ => lz4_flex::block::decompress(block, size).expect("LZ4"),
        });
        at += stored;
    }
    raw
}
