//! The recording file: what was written comes back, whatever was cut off it or changed in it.

mod support;

use std::fs::{self, File};
use std::io::{BufReader, Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use support::{header, one_of_each, record};
use tierscope_model::{Event, Timestamp};
use tierscope_tracer::decode;
use tierscope_tracer::recording::{FORMAT, Growing, ReadError, Reader, Torn, WriteError, Writer};
use tierscope_tracer::wire_record::*;

/// Time between two blocks of a test's recording (ns).
const STEP: u64 = 100_000_000;

/// A recording of three blocks, each with a record of every kind; its bytes and where its blocks end.
fn small() -> (Vec<u8>, Vec<u64>) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("small.tsrec");
    let mut writer = Writer::create(&path, &header(), false).expect("creates");
    let mut ends = vec![fs::metadata(&path).expect("there").len()];
    for block in 1..=3 {
        for record in one_of_each() {
            writer.record(&record).expect("takes it");
        }
        writer.tick(Timestamp(block * STEP)).expect("writes");
        ends.push(fs::metadata(&path).expect("there").len());
    }
    let totals = writer.finish().expect("finishes");
    let marked = fs::metadata(&path).expect("there").len();
    assert_eq!((totals.blocks, totals.bytes), (3, marked));
    assert!(marked > ends[3], "the mark of the end is a block, too");
    assert_eq!(totals.records.len(), one_of_each().len());
    assert!(totals.records.values().all(|&count| count == 3));
    (fs::read(&path).expect("reads"), ends)
}

fn events() -> Vec<Event> {
    one_of_each()
        .iter()
        .map(|record| decode(record).expect("decodes"))
        .collect()
}

fn read(bytes: &[u8]) -> Result<Reader<Cursor<&[u8]>>, ReadError> {
    Reader::new(Cursor::new(bytes), Path::new("test.tsrec"))
}

/// The events that are left, all of them sound.
fn sound<R: Read>(reader: &mut Reader<R>) -> Vec<Event> {
    reader.collect::<Result<_, _>>().expect("sound")
}

#[test]
fn what_was_written_comes_back() {
    let (bytes, _) = small();
    let mut reader = read(&bytes).expect("a recording");
    assert_eq!(reader.header().services, header().services);
    assert_eq!(reader.header().programs[3], "recv");
    assert_eq!(sound(&mut reader), [events(), events(), events()].concat());
    assert_eq!((reader.torn(), reader.unknown()), (None, 0));
    assert!(reader.is_finished());
}

#[test]
fn a_recording_that_grows_is_read_to_its_writers_end() {
    for finishes in [true, false] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("growing.tsrec");
        let mut writer = Writer::create(&path, &header(), false).expect("creates");
        let follower = std::thread::spawn(move || {
            let file = Growing::open(&path, Arc::default()).expect("opens");
            let mut reader = Reader::new(BufReader::new(file), &path).expect("a header");
            (sound(&mut reader), reader.torn(), reader.is_finished())
        });
        for block in 1..=3 {
            std::thread::sleep(Duration::from_millis(60));
            for record in one_of_each() {
                writer.record(&record).expect("takes it");
            }
            writer.tick(Timestamp(block * STEP)).expect("writes");
        }
        match finishes {
            true => drop(writer.finish().expect("finishes")),
            false => drop(writer),
        }
        let all = [events(), events(), events()].concat();
        assert_eq!(follower.join().expect("reads"), (all, None, finishes));
    }
}

#[test]
fn a_cut_anywhere_reads_to_the_last_whole_block() {
    let (bytes, ends) = small();
    for cut in 0..bytes.len() {
        let reader = read(&bytes[..cut]);
        if (cut as u64) < ends[0] {
            assert!(matches!(reader, Err(ReadError::Header { .. })), "{cut}");
            continue;
        }
        let mut reader = reader.expect("its header is whole");
        let count = sound(&mut reader).len();
        assert!(!reader.is_finished(), "{cut}");
        let whole = ends
            .iter()
            .rev()
            .find(|&&end| end <= cut as u64)
            .copied()
            .expect("the header's");
        assert_eq!(
            count,
            events().len() * ends.iter().position(|&end| end == whole).expect("there"),
            "{cut}"
        );
        let bytes = cut as u64 - whole;
        assert_eq!(
            reader.torn(),
            (bytes > 0).then_some(Torn {
                offset: whole,
                bytes
            }),
            "{cut}"
        );
    }
}

#[test]
fn a_changed_byte_is_found_with_its_block() {
    let (bytes, ends) = small();
    for at in ends[0]..ends[3] {
        let mut changed = bytes.clone();
        changed[at as usize] ^= 0x40;
        let mut reader = read(&changed).expect("its header is whole");
        let (sound, wrong): (Vec<_>, Vec<_>) = reader.by_ref().partition(Result::is_ok);
        let block = ends.iter().rposition(|&end| end <= at).expect("there");
        assert_eq!(sound.len(), events().len() * block, "{at}");
        match &wrong[..] {
            [Err(ReadError::Block { offset })] => assert_eq!(*offset, ends[block]),
            [] => assert_eq!(
                reader.torn().map(|torn| torn.offset),
                Some(ends[block]),
                "{at}"
            ),
            other => panic!("{at}: {other:?}"),
        }
        assert!(
            block == 2 || !wrong.is_empty() || reader.torn().is_some_and(|torn| torn.bytes > 0),
            "{at}"
        );
    }
}

#[test]
fn what_is_not_a_recording_is_named() {
    let (bytes, ends) = small();
    assert!(matches!(
        read(b"\x7fELF something else"),
        Err(ReadError::NotARecording { .. })
    ));
    let mut damaged = bytes.clone();
    damaged[20] ^= 1;
    assert!(matches!(read(&damaged), Err(ReadError::Header { .. })));
    let mut huge = bytes.clone();
    huge[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(read(&huge), Err(ReadError::Header { .. })));
    let versions = [FORMAT + 1, FORMAT - 1, FORMAT];
    let versions = versions.map(|format| format!("{{\"format\":{format}}}"));
    for json in versions.into_iter().chain(["[]".into()]) {
        let mut other = bytes[..8].to_vec();
        other.extend((json.len() as u32).to_le_bytes());
        other.extend(json.as_bytes());
        other.extend(crc32fast::hash(json.as_bytes()).to_le_bytes());
        let this = json.contains(&format!(":{FORMAT}"));
        match read(&other) {
            Err(ReadError::Version { format, .. }) => assert!(json.contains(&format.to_string())),
            Err(ReadError::Json { .. }) => assert!(this || json == "[]"),
            other => panic!("{json}: {other:?}"),
        }
    }
    // A block that claims to be 4 GiB.
    for field in [12, 16] {
        let mut liar = bytes.clone();
        let at = ends[0] as usize + field;
        liar[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let first = read(&liar).expect("its header is whole").next();
        assert!(
            matches!(first, Some(Err(ReadError::Block { offset })) if offset == ends[0]),
            "{first:?}"
        );
    }
}

#[test]
fn records_of_a_later_version_are_counted_and_passed_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("later.tsrec");
    let mut writer = Writer::create(&path, &header(), false).expect("creates");
    for kind in [77, TS_KIND_RECV, 78] {
        writer
            .record(&record(kind, 1, ts_recv::default(), b""))
            .expect("takes it");
    }
    // Of a known kind, but not what it should be.
    writer
        .record(&record(TS_KIND_CLOSE, 1, ts_recv::default(), b""))
        .expect("takes it");
    writer
        .record(&record(TS_KIND_RECV, 2, ts_recv::default(), b""))
        .expect("takes it");
    let totals = writer.finish().expect("finishes");
    assert_eq!((totals.records["unknown"], totals.records["recv"]), (2, 2));
    let mut reader = Reader::open(&path).expect("opens");
    let read: Vec<_> = reader.by_ref().collect();
    let [Ok(_), Err(ReadError::Record { at, .. }), Ok(_)] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!(*at, 3 * size_of::<ts_recv>(), "after three records");
    assert_eq!(reader.unknown(), 2);
}

#[test]
fn blocks_are_written_when_full_and_when_old() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("blocks.tsrec");
    let mut writer = Writer::create(&path, &header(), false).expect("creates");
    let start = fs::metadata(&path).expect("there").len();
    let one = record(TS_KIND_RECV, STEP, ts_recv::default(), b"");
    writer.record(&one).expect("takes it");
    writer.tick(Timestamp(STEP + 10_000_000)).expect("ticks");
    assert_eq!(
        fs::metadata(&path).expect("there").len(),
        start,
        "not old yet"
    );
    writer.tick(Timestamp(STEP + 90_000_000)).expect("ticks");
    assert!(fs::metadata(&path).expect("there").len() > start, "old");
    for _ in 0..2 * (256 << 10) / one.len() + 2 {
        writer.record(&one).expect("takes it");
    }
    drop(writer);
    let count = Reader::open(&path).expect("opens").count();
    assert!(
        count > 1 + (256 << 10) / one.len(),
        "{count}: dropped without an end, full blocks are there"
    );
}

#[test]
fn a_recording_is_private_and_replaces_nothing_unasked() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("once.tsrec");
    fs::write(&path, "precious").expect("writes");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("sets");
    let refused = Writer::create(&path, &header(), false).expect_err("it is there");
    assert!(matches!(refused, WriteError::Create { .. }), "{refused}");
    assert_eq!(fs::read(&path).expect("reads"), b"precious");
    Writer::create(&path, &header(), true).expect("told to");
    assert_eq!(
        fs::metadata(&path).expect("there").permissions().mode() & 0o777,
        0o600
    );
    let mut writer =
        Writer::create(&dir.path().join("new.tsrec"), &header(), false).expect("creates");
    assert!(matches!(writer.record(&[0; 9]), Err(WriteError::Record(9))));
}

#[test]
fn a_full_disk_leaves_whole_blocks() {
    let full = Writer::create(Path::new("/dev/full"), &header(), true).expect_err("no room");
    assert!(matches!(full, WriteError::Write { whole: 0, .. }), "{full}");
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: cannot mount a tmpfs (needs root)");
        return;
    };
    let path = disk.0.path().join("full.tsrec");
    let mut writer = Writer::create(&path, &header(), false).expect("creates");
    let error = (0..1_000_000_u64)
        .find_map(|n| {
            // Noise, so that it does not pack.
            let noise = ts_close {
                cookie: n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                bytes_sent: n << 40 | n,
                ..ts_close::default()
            };
            writer.record(&record(TS_KIND_CLOSE, n, noise, b"")).err()
        })
        .expect("the disk is full at some time");
    let WriteError::Write { whole, .. } = &error else {
        panic!("{error}")
    };
    assert!(error.to_string().contains("make room"), "{error}");
    let mut reader =
        Reader::new(BufReader::new(File::open(&path).expect("opens")), &path).expect("a header");
    assert!(sound(&mut reader).len() > 1000);
    assert_eq!(
        (reader.torn(), fs::metadata(&path).expect("there").len()),
        (None, *whole)
    );
}

/// A tmpfs of 1 MiB.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let disk = SmallDisk(tempfile::tempdir().expect("a directory"));
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tierscope-test"])
            .arg(disk.0.path())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Not mounted: nothing to take down.
        let _ = Command::new("umount")
            .arg(PathBuf::from(self.0.path()))
            .stderr(std::process::Stdio::null())
            .status();
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..9),
        noise in prop::collection::vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut bytes, _) = small();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()));
        bytes.extend(&noise);
        if let Ok(reader) = read(&bytes) {
            prop_assert!(reader.count() <= 4 * events().len());
        }
        prop_assert!(read(&noise).is_err());
    }
}
