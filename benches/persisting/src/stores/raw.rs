use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::record;
use crate::store::{Face, Store};
use crate::workload::{Append, Guard, Layout, Workload};

/// The limit: no store at all. One write and one `fdatasync` of bytes that were made before, on
/// space that is allocated and filled with zeros, round and round. Reading is one `pread` of
/// 256 KiB after the other into one buffer, with the checksum of each record; of a stream, one
/// `pread` an event whose place is known.
pub struct Raw {
    ring: File,
    at: AtomicU64,
    record: Vec<u8>,
    workload: Arc<Workload>,
    log: Mutex<Log>,
}

struct Log {
    file: File,
    end: u64,
    /// Of each stream, where its records begin.
    places: Vec<Vec<u64>>,
}

const RING: u64 = 64 << 20;
const CHUNK: usize = 256 << 10;
/// A length and a checksum.
const HEAD: usize = 8;

impl Store for Raw {
    const FACE: Face = Face::AtOnce;

    fn open(directory: &Path, workload: &Arc<Workload>) -> Self {
        let open = |name| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.open(directory.join(name)).expect("it opens")
        };
        let ring = open("ring");
        if ring.metadata().expect("it is there").len() < RING {
            let zeros = vec![0; 1 << 20];
            for at in (0..RING).step_by(zeros.len()) {
                ring.write_all_at(&zeros, at).expect("it is written");
            }
            ring.sync_all().expect("it is synced");
        }
        let mut log = Log {
            file: open("log"),
            end: 0,
            places: vec![Vec::new(); workload.streams.len()],
        };
        log.find(workload);
        let mut record = vec![0; HEAD];
        record::put(&mut record, workload, &workload.event(0, 0, 1));
        Self {
            ring,
            at: AtomicU64::new(0),
            record,
            workload: Arc::clone(workload),
            log: Mutex::new(log),
        }
    }

    fn append(&self, append: Append) {
        if append.guard == Guard::None {
            return self.log().write(&self.workload, &append);
        }
        let bytes = self.record.repeat(append.events.len());
        let length = bytes.len() as u64;
        let mut at = self.at.load(Ordering::Relaxed);
        if at + length > RING {
            at = 0;
        }
        self.ring.write_all_at(&bytes, at).expect("it is written");
        self.ring.sync_data().expect("it is synced");
        self.at.store(at + length, Ordering::Relaxed);
    }

    fn replay(&self) -> usize {
        let mut count = 0;
        self.log().each(|_, record| {
            record::look(record::payload(record));
            count += 1;
        });
        count
    }

    fn read_stream(&self, stream: usize) -> usize {
        let log = self.log();
        let mut buffer = [0; 512];
        for place in &log.places[stream] {
            let length = log.file.read_at(&mut buffer, *place).expect("it is read");
            record::look(record::payload(whole(&buffer[..length]).expect("a record")));
        }
        log.places[stream].len()
    }
}

impl Raw {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().expect("nobody panics")
    }
}

impl Log {
    fn write(&mut self, workload: &Workload, append: &Append) {
        let mut bytes = Vec::new();
        for event in &append.events {
            self.places[event.stream].push(self.end + bytes.len() as u64);
            put(&mut bytes, workload, event);
        }
        self.file
            .write_all_at(&bytes, self.end)
            .expect("it is written");
        self.file.sync_data().expect("it is synced");
        self.end += bytes.len() as u64;
    }

    fn find(&mut self, workload: &Workload) {
        let mut found = Vec::new();
        self.each(|place, record| found.push((place, record.len())));
        let Some((last, length)) = found.last() else {
            return;
        };
        self.end = last + (HEAD + length) as u64;
        let layout = Layout::new(found.len() / 1_000 * 1_000);
        for (number, (place, _)) in found.into_iter().enumerate().take(layout.events) {
            self.places[layout.stream_of(number)].push(place);
        }
        debug_assert_eq!(self.places.len(), workload.streams.len());
    }

    fn each(&self, mut see: impl FnMut(u64, &[u8])) {
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            let length = self.file.read_at(&mut buffer, at).expect("it is read");
            let mut rest = &buffer[..length];
            while let Some(record) = whole(rest) {
                see(at + (length - rest.len()) as u64, record);
                rest = &rest[HEAD + record.len()..];
            }
            if rest.len() == length {
                return;
            }
            at += (length - rest.len()) as u64;
        }
    }
}

/// A record with its length and checksum before it.
pub fn put(bytes: &mut Vec<u8>, workload: &Workload, event: &crate::workload::Event) {
    let begin = bytes.len();
    bytes.extend_from_slice(&[0; HEAD]);
    record::put(bytes, workload, event);
    let length = u32::try_from(bytes.len() - begin - HEAD).expect("a short record");
    let sum = checksum(&bytes[begin + HEAD..]);
    bytes[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
    bytes[begin + 4..begin + HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// The record at the front, if all of it is there.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).expect("32 bits");
    let record = rest.get(..length).filter(|record| !record.is_empty())?;
    assert_eq!(checksum(record), u32::from_le_bytes(*sum), "as written");
    Some(record)
}

fn checksum(bytes: &[u8]) -> u32 {
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes);
    u32::try_from(sum).expect("32 bits")
}
