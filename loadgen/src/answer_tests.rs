//! Answers in every split, and what is not an answer.

use super::*;

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn feed(text: &str) -> (Answer, Result<bool, Malformed>) {
    let mut answer = Answer::default();
    let result = answer.feed(text.as_bytes());
    (answer, result)
}

#[test]
fn every_split_gives_the_same_answer() {
    let head = format!("HTTP/1.1 200 OK\r\nX-Request-ID: {ID}\r\nx-lab-queries: 3\r\n");
    let length = format!("{head}Content-Length: 5\r\n\r\nhello");
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let interim = format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{length}");
    for text in [length, chunked, interim] {
        for at in 0..text.len() {
            let mut answer = Answer::default();
            assert_eq!(
                answer.feed(&text.as_bytes()[..at]),
                Ok(false),
                "{text} at {at}"
            );
            assert_eq!(
                answer.feed(&text.as_bytes()[at..]),
                Ok(true),
                "{text} at {at}"
            );
            assert_eq!((answer.status, answer.bytes), (Some(200), 5));
            assert_eq!((answer.id.as_deref(), answer.queries), (Some(ID), Some(3)));
            assert!(!answer.close);
        }
    }
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    for head in ["204 No Content\r\nContent-Length: 9", "304 Not Modified"] {
        assert_eq!(feed(&format!("HTTP/1.1 {head}\r\n\r\n")).1, Ok(true));
    }
}

#[test]
fn without_a_length_the_close_ends_it() {
    let (answer, result) = feed("HTTP/1.1 200 OK\r\n\r\nhello");
    assert_eq!(result, Ok(false));
    assert_eq!(answer.bytes, 5);
    assert!(answer.close && answer.ends_by_close());
}

#[test]
fn close_is_what_the_head_says() {
    for (head, close) in [
        ("HTTP/1.1 200 OK\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n", true),
        ("HTTP/1.0 200 OK\r\n", true),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", false),
    ] {
        let (answer, result) = feed(&format!("{head}Content-Length: 0\r\n\r\n"));
        assert_eq!((answer.close, result), (close, Ok(true)), "{head}");
    }
}

#[test]
fn ids_that_are_no_ids_are_dropped() {
    for id in ["", "4bf9", &"g".repeat(32), &"é".repeat(16)] {
        let text = format!("HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(feed(&text).0.id, None, "{id}");
    }
}

#[test]
fn garbage_is_refused() {
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "A: b\r\n".repeat(FIELD_LIMIT + 1)
    );
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(HEAD_LIMIT));
    for text in [
        "SSH-2.0-OpenSSH\r\n",
        "\0\0\0\0",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &many,
        &long,
    ] {
        assert_eq!(feed(text).1, Err(Malformed), "{text}");
    }
}
