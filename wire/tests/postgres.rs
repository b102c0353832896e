//! PostgreSQL messages of real connections, against pgwire's reader.

use bytes::BytesMut;
use pgwire::messages::{
    DecodeContext, PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion,
};
use tierscope_wire::postgres::{
    Backend, Frontend, Message, StartupKind, backend, bind_params, frontend, ready_tail, startup,
    sync_tail,
};

/// Both directions of one connection.
struct Session {
    frontend: &'static [u8],
    backend: &'static [u8],
}

macro_rules! session {
    ($name:literal) => {
        Session {
            frontend: include_bytes!(concat!("data/", $name, ".frontend.bin")),
            backend: include_bytes!(concat!("data/", $name, ".backend.bin")),
        }
    };
}

const PREPARED: Session = session!("prepared");
const SIMPLE: Session = session!("simple");
const SSL: Session = session!("ssl");

#[test]
fn frontend_messages_agree_with_pgwire() {
    for (session, least) in [(PREPARED, 30), (SIMPLE, 12)] {
        let len = startup(session.frontend).expect("a start-up message").len;
        let mut oracle = BytesMut::from(&session.frontend[len..]);
        let mut messages = frontend(&session.frontend[len..]);
        let mut count = 0;
        for message in messages.by_ref() {
            assert_eq!(message.offset, session.frontend.len() - len - oracle.len());
            let theirs = PgWireFrontendMessage::decode(&mut oracle, &context()).expect("decodes");
            same_frontend(&message, &theirs.expect("whole"));
            count += 1;
        }
        assert!(oracle.is_empty() && messages.malformed().is_none());
        assert!(count >= least, "{count}");
    }
}

#[test]
fn backend_messages_agree_with_pgwire() {
    for (session, least) in [(PREPARED, 60), (SIMPLE, 80)] {
        let mut oracle = BytesMut::from(session.backend);
        let mut messages = backend(session.backend);
        let mut count = 0;
        for message in messages.by_ref() {
            assert_eq!(message.offset, session.backend.len() - oracle.len());
            let theirs = PgWireBackendMessage::decode(&mut oracle, &context()).expect("decodes");
            same_backend(message.as_backend(), &theirs.expect("whole"));
            count += 1;
        }
        assert!(oracle.is_empty() && messages.malformed().is_none());
        assert!(count >= least, "{count}");
    }
}

#[test]
fn a_cut_yields_the_same_messages_as_far_as_it_goes() {
    let whole: Vec<_> = backend(SIMPLE.backend).collect();
    for cut in 0..SIMPLE.backend.len() {
        let mut seen = 0;
        for (message, expected) in backend(&SIMPLE.backend[..cut]).zip(&whole) {
            assert_eq!(
                (message.offset, message.tag, message.total),
                (expected.offset, expected.tag, expected.total)
            );
            assert_eq!(message.complete, expected.offset + expected.total <= cut);
            seen += 1;
        }
        let expected = whole
            .iter()
            .filter(|message| message.offset + 5 <= cut)
            .count();
        assert_eq!(seen, expected, "{cut}");
    }
}

#[test]
fn the_first_message_is_recognised() {
    let tls = startup(SSL.frontend).expect("an SSLRequest");
    assert_eq!((tls.kind, tls.len), (StartupKind::Ssl, 8));
    assert_eq!(
        startup(&SSL.frontend[8..]).map(|first| first.kind),
        Some(StartupKind::Session)
    );
    let cancel = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02";
    assert_eq!(
        startup(cancel).map(|first| first.kind),
        Some(StartupKind::Cancel)
    );
    for no in [
        &b""[..],
        b"\0\0\0\x08\x04\xd2",
        b"P\0\0\0\x08\0\0\0",
        b"\xff\xff\xff\xff\0\x03\0\0",
    ] {
        assert_eq!(startup(no), None, "{no:?}");
    }
}

#[test]
fn garbage_ends_the_walk_where_it_stands() {
    for (bytes, at) in [
        (&b"S\0\0\0\x04\0\0"[..], 5),
        (b"S\0\0\0\x03", 0),
        (b"S\x7f\xff\xff\xff", 0),
        (b"S\0\0\0\x04?", 5),
    ] {
        let mut messages = frontend(bytes);
        assert_eq!(messages.by_ref().count(), usize::from(at > 0));
        assert_eq!(
            messages.malformed().map(|malformed| malformed.offset),
            Some(at),
            "{bytes:?}"
        );
    }
}

#[test]
fn tails_tell_the_end_of_an_exchange() {
    assert_eq!(ready_tail(b"SELECT 1\0Z\0\0\0\x05I"), Some(b'I'));
    assert_eq!(ready_tail(b"Z\0\0\0\x05T"), Some(b'T'));
    assert_eq!(ready_tail(b"Z\0\0\0\x05X"), None);
    assert_eq!(ready_tail(b""), None);
    assert!(sync_tail(b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"));
    assert!(!sync_tail(b"S\0\0\0\x05"));
}

fn context() -> DecodeContext {
    let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
    context.awaiting_frontend_ssl = false;
    context.awaiting_frontend_startup = false;
    context
}

fn same_frontend(message: &Message<'_>, theirs: &PgWireFrontendMessage) {
    type Theirs = PgWireFrontendMessage;
    assert!(message.complete);
    match (message.as_frontend(), theirs) {
        (
            Frontend::Parse {
                name,
                sql,
                sql_complete,
            },
            Theirs::Parse(parse),
        ) => {
            assert_eq!(
                (name, sql, sql_complete),
                (text(&parse.name), parse.query.as_str(), true)
            );
        }
        (Frontend::Bind { portal, statement }, Theirs::Bind(bind)) => {
            assert_eq!(
                (portal, statement),
                (text(&bind.portal_name), text(&bind.statement_name))
            );
            let values: Vec<_> = bind
                .parameters
                .iter()
                .map(|value| value.as_deref())
                .collect();
            assert_eq!(bind_params(message), values);
        }
        (Frontend::Describe { kind, name }, Theirs::Describe(describe)) => {
            assert_eq!((kind, name), (describe.target_type, text(&describe.name)));
        }
        (Frontend::Execute { portal }, Theirs::Execute(execute)) => {
            assert_eq!(portal, text(&execute.name))
        }
        (Frontend::Query { sql, sql_complete }, Theirs::Query(query)) => {
            assert_eq!((sql, sql_complete), (query.query.as_str(), true));
        }
        (Frontend::Sync, Theirs::Sync(_))
        | (Frontend::Terminate, Theirs::Terminate(_))
        | (Frontend::CopyData, Theirs::CopyData(_))
        | (Frontend::CopyDone, Theirs::CopyDone(_)) => {}
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
}

fn same_backend(ours: Backend<'_>, theirs: &PgWireBackendMessage) {
    type Theirs = PgWireBackendMessage;
    match (ours, theirs) {
        (Backend::CommandComplete(tag), Theirs::CommandComplete(complete)) => {
            assert_eq!(tag.0, complete.tag)
        }
        (Backend::ReadyForQuery { status }, Theirs::ReadyForQuery(ready)) => {
            assert_eq!(status, ready.status as u8);
        }
        (Backend::ErrorResponse { severity, code }, Theirs::ErrorResponse(error)) => {
            let field = |tag: u8| {
                error
                    .fields
                    .iter()
                    .find(|(name, _)| *name == tag)
                    .map(|(_, text)| text.as_str())
            };
            assert_eq!((Some(severity), Some(code)), (field(b'S'), field(b'C')));
        }
        (Backend::Authentication, Theirs::Authentication(_))
        | (Backend::KeyData, Theirs::BackendKeyData(_))
        | (Backend::ParameterStatus, Theirs::ParameterStatus(_))
        | (Backend::ParseComplete, Theirs::ParseComplete(_))
        | (Backend::BindComplete, Theirs::BindComplete(_))
        | (Backend::NoData, Theirs::NoData(_))
        | (Backend::ParameterDescription, Theirs::ParameterDescription(_))
        | (Backend::RowDescription, Theirs::RowDescription(_))
        | (Backend::DataRow, Theirs::DataRow(_))
        | (Backend::EmptyQuery, Theirs::EmptyQueryResponse(_))
        | (Backend::Notice, Theirs::NoticeResponse(_))
        | (Backend::Notification, Theirs::NotificationResponse(_))
        | (Backend::CopyIn, Theirs::CopyInResponse(_))
        | (Backend::CopyOut, Theirs::CopyOutResponse(_))
        | (Backend::CopyData, Theirs::CopyData(_))
        | (Backend::CopyDone, Theirs::CopyDone(_)) => {}
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
}

fn text(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or("")
}
