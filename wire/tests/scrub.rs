//! What scrubbing takes out and what it leaves: secrets gone, every message as before.

use proptest::prelude::*;
use tierscope_wire::http::{self, Head, parse_head};
use tierscope_wire::postgres::{
    self, Backend, Frontend, backend, bind_params, frontend, scrub_backend, scrub_frontend, startup,
};
use tierscope_wire::{Keep, sql};

const PREPARED: &[u8] = include_bytes!("data/prepared.frontend.bin");
const SIMPLE: &[u8] = include_bytes!("data/simple.frontend.bin");
const ANSWERS: &[u8] = include_bytes!("data/simple.backend.bin");

const NOTHING: Keep = Keep {
    values: false,
    text: false,
};

#[test]
fn a_head_keeps_what_the_assembler_needs() {
    let mut head = b"POST http://me:pw@host/a/b?name=value&word HTTP/1.1\r\nHost: host\r\nCookie: secret\r\n\
        Content-Length: 6\r\nX-Request-ID: 4bf92f3577b34da6a3ce929d0e0e4736\r\na:\r\n\r\nsecretGET /next HTTP/1.1\r\n\r\n"
        .to_vec();
    assert_eq!(http::scrub(&mut head), None);
    let expected = "POST http://xxxxxxxxxx/a/b?name=?????&???? HTTP/1.1\r\nxxxxxxxxx:\r\nxxxxxxxxxxxxx:\r\n\
        Content-Length: 6\r\nX-Request-ID: 4bf92f3577b34da6a3ce929d0e0e4736\r\nx:\r\n\r\n\0\0\0\0\0\0GET /next HTTP/1.1\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&head), expected);
}

#[test]
fn bodies_go_and_their_ends_stay() {
    for (sent, kept) in [
        ("secret", "\0\0\0\0\0\0"),
        ("secret\r\n0\r\n\r\n", "\0\0\0\0\0\0\r\n0\r\n\r\n"),
        ("0\r\n\r\n", "0\r\n\r\n"),
        ("GETTING", "\0\0\0\0\0\0\0"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;e=s\r\nabc\r\n0\r\nT: s\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;xxx\r\n\0\0\0\r\n0\r\nxxx:\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nff\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\0\0\0\r\n\0\0\0\0\0\0\0",
        ),
        // The answer to a HEAD, and the next one.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\0\0",
        ),
        (
            "GET /a\0 HTTP/1.1\r\n\r\n",
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ),
    ] {
        let mut bytes = sent.as_bytes().to_vec();
        http::scrub(&mut bytes);
        assert_eq!(String::from_utf8_lossy(&bytes), kept, "{sent:?}");
    }
}

#[test]
fn a_head_cut_anywhere_joins_to_what_it_was() {
    let head = b"GET /a?b=c HTTP/1.1\r\nCookie: d\r\nX-Request-ID: 4bf92f3577b34da6a3ce929d0e0e4736\r\nHost: e\r\n\r\n";
    for cut in 1..head.len() {
        let mut first = head[..cut].to_vec();
        assert_eq!(http::scrub(&mut first), Some(0), "{cut}");
        let mut both = head.to_vec();
        http::scrub(&mut both);
        first.extend_from_slice(&both[cut..]);
        assert_eq!(
            parse_head(&first),
            parse_head(head),
            "{cut}: {:?}",
            String::from_utf8_lossy(&first)
        );
    }
}

#[test]
fn frontend_values_and_literals_go() {
    let len = startup(PREPARED).expect("a start-up message").len;
    for (sent, first) in [
        (PREPARED, len),
        (SIMPLE, startup(SIMPLE).expect("a start-up message").len),
    ] {
        let mut bytes = sent.to_vec();
        assert_eq!(scrub_frontend(&mut bytes, 0, NOTHING), Some(bytes.len()));
        for word in ["postgres", "Brien", "hidden", "note '", "copied", "text"] {
            assert!(!contains(&bytes, word), "{word}");
        }
        let pairs = frontend(&bytes[first..]).zip(frontend(&sent[first..]));
        for (ours, original) in pairs {
            assert_eq!(
                (ours.offset, ours.tag, ours.total),
                (original.offset, original.tag, original.total)
            );
            same_but_scrubbed(ours.as_frontend(), original.as_frontend());
            assert!(
                bind_params(&ours)
                    .iter()
                    .flatten()
                    .all(|value| value.iter().all(|&byte| byte == 0))
            );
            assert_eq!(bind_params(&ours).len(), bind_params(&original).len());
        }
    }
}

fn same_but_scrubbed(ours: Frontend<'_>, original: Frontend<'_>) {
    match (ours, original) {
        (
            Frontend::Parse {
                name: a, sql: x, ..
            },
            Frontend::Parse {
                name: b, sql: y, ..
            },
        ) => {
            assert_eq!((a, sql::mask(x)), (b, sql::mask(y)));
        }
        (Frontend::Query { sql: x, .. }, Frontend::Query { sql: y, .. }) => {
            assert_eq!(sql::mask(x), sql::mask(y))
        }
        _ => assert_eq!(ours, original),
    }
}

#[test]
fn values_and_texts_stay_where_asked() {
    let mut bytes = PREPARED.to_vec();
    let len = startup(PREPARED).expect("a start-up message").len;
    scrub_frontend(
        &mut bytes,
        0,
        Keep {
            values: true,
            text: true,
        },
    );
    assert_eq!(bytes[len..], PREPARED[len..]);
    assert!(bytes[8..len].iter().all(|&byte| byte == 0));
}

#[test]
fn backend_rows_and_texts_go() {
    let mut bytes = ANSWERS.to_vec();
    assert_eq!(scrub_backend(&mut bytes, 0, NOTHING), Some(bytes.len()));
    for word in [
        "hidden", "missing", "copied", "xxxx", "detail", "payload", "words", "UTF8",
    ] {
        assert!(!contains(&bytes, word), "{word}");
    }
    for (ours, original) in backend(&bytes).zip(backend(ANSWERS)) {
        assert_eq!(
            (ours.offset, ours.tag, ours.total),
            (original.offset, original.tag, original.total)
        );
        assert_eq!(ours.as_backend(), original.as_backend());
    }
    let errors = backend(&bytes).filter(|message| {
        message.as_backend()
            == Backend::ErrorResponse {
                severity: "ERROR",
                code: "42P01",
            }
    });
    assert_eq!(errors.count(), 1);
}

/// A send may begin within a row or value that was not captured, with bytes that a message could begin with.
#[test]
fn what_only_looks_like_a_message_goes() {
    let texts = [
        "Z 1010 Secret",
        "Z\0\0\0\x05s",
        "E 10 Secret",
        "E\0\0\0\x0fSecret\0Vast\0",
        "N 10 CSecret",
        "C 10 SECRET",
    ];
    for text in texts {
        let mut bytes = text.as_bytes().to_vec();
        scrub_backend(&mut bytes, 0, Keep::default());
        assert!(!bytes[1..].iter().any(u8::is_ascii_lowercase), "{bytes:?}");
        assert!(!contains(&bytes, "SECRET"), "{bytes:?}");
    }
    for tag in "PBEDCQ".chars() {
        for text in [
            format!("{tag} 10 a secret"),
            format!("{tag}\n20 SP a secret"),
        ] {
            let mut bytes = text.into_bytes();
            scrub_frontend(&mut bytes, 0, Keep::default());
            assert!(!contains(&bytes, "secret"), "{bytes:?}");
        }
    }
    for text in ["D\0\0\0\x0ca secret", "E\0\0\0\x0ca secret"] {
        let mut bytes = text.as_bytes().to_vec();
        scrub_frontend(&mut bytes, 0, Keep::default());
        assert!(!contains(&bytes, "secret"), "{bytes:?}");
    }
}

#[test]
fn a_send_that_begins_within_a_message_is_walked_from_the_next() {
    let whole: Vec<_> = backend(ANSWERS).collect();
    for (one, next) in whole.iter().zip(&whole[1..]) {
        let mut bytes = ANSWERS[one.offset + 1..].to_vec();
        let skip = next.offset - one.offset - 1;
        assert_eq!(scrub_backend(&mut bytes, skip, NOTHING), Some(bytes.len()));
        assert!(bytes[..skip].iter().all(|&byte| byte == 0));
        assert_eq!(
            backend(&bytes[skip..]).count(),
            whole.len() - whole.iter().position(|m| m == next).expect("there")
        );
    }
    let mut cut = ANSWERS[..whole[3].offset + 6].to_vec();
    assert_eq!(
        scrub_backend(&mut cut, 0, NOTHING),
        Some(whole[4].offset),
        "beyond what was captured"
    );
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|part| part == word.as_bytes())
}

fn heads() -> impl Strategy<Value = String> {
    let start = prop_oneof![
        "(GET|POST|HEAD|DELETE) /[a-z/]{0,9}(\\?[a-z]{1,3}=[a-z%]{0,9}(&[a-z=]{0,5})?)?(#[a-z]{1,4})? HTTP/1\\.[01]",
        "(GET|PUT) http://([a-z]{1,3}:[a-z]{1,3}@)?[a-z]{1,5}(/[a-z]{0,3})? HTTP/1\\.1",
        "HTTP/1\\.[01] [1-5][0-9][0-9] [a-zA-Z ]{0,9}",
    ];
    let needed = prop_oneof![
        "(content-length|Content-Length): [0-9]{1,4}",
        "Transfer-Encoding: (chunked|gzip|gzip, chunked)",
        "Connection: ?(close|keep-alive|upgrade|Upgrade, close)",
        "Upgrade: websocket",
        "(X-Request-ID|x-request-id):[0-9a-f]{32}",
        "traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01",
        "X-Client-(Request-ID|Trace-Id): [ -~]{0,20}",
    ];
    let other = "[A-Za-z-]{1,12}: ?[ -~]{0,20}";
    (
        start,
        prop::collection::vec(prop_oneof![needed, other], 0..8),
        "[a-z0-9]{0,20}",
    )
        .prop_map(|(start, fields, body)| {
            format!(
                "{start}\r\n{}\r\n{body}",
                fields
                    .iter()
                    .map(|f| format!("{f}\r\n"))
                    .collect::<String>()
            )
        })
}

proptest! {
    #[test]
    fn a_scrubbed_head_parses_to_the_same(head in heads(), cut in 0_usize..400) {
        let original = &head.as_bytes()[..cut.min(head.len())];
        let parsed = parse_head(original);
        let mut bytes = original.to_vec();
        http::scrub(&mut bytes);
        if parsed != Head::NotHttp && http::starts_like_head(original) {
            prop_assert_eq!(parse_head(&bytes), parsed);
        } else {
            prop_assert!(bytes.iter().all(|&byte| byte == 0));
        }
        let once = bytes.clone();
        http::scrub(&mut bytes);
        prop_assert_eq!(bytes, once);
    }

    #[test]
    fn any_bytes_are_taken(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), hostile()],
        skip in 0_usize..400,
    ) {
        let _ = parse_head(&bytes);
        let _ = http::chunked_end(&bytes);
        for message in frontend(&bytes) {
            let _ = (message.as_frontend(), bind_params(&message));
        }
        backend(&bytes).for_each(|message| { message.as_backend(); });
        settles(&bytes, |bytes| { http::scrub(bytes); });
        settles(&bytes, http::scrub_tail);
        settles(&bytes, |bytes| { scrub_frontend(bytes, skip, NOTHING); });
        settles(&bytes, |bytes| { scrub_backend(bytes, skip, NOTHING); });
        settles(&bytes, postgres::scrub_tail);
        settles(&bytes, sql::mask_bytes);
    }
}

/// Scrubbing what was scrubbed changes nothing.
fn settles(bytes: &[u8], scrub: impl Fn(&mut [u8])) {
    let mut once = bytes.to_vec();
    scrub(&mut once);
    let mut twice = once.clone();
    scrub(&mut twice);
    assert_eq!(once, twice);
}

/// Bytes that go further than noise does: real ones, changed in places.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![
        PREPARED,
        SIMPLE,
        ANSWERS,
        b"POST /a?b=c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n",
    ]);
    (
        whole,
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(whole, changes, from)| {
            let mut bytes = whole.to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.split_off(from.index(whole.len()))
        })
}
