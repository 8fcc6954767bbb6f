//! The files of a store, as bytes, and their checksums made good again after they were changed:
//! written from `docs/segment-format.md` alone, and sharing no code with what it is to fool.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Files by their paths within a directory.
pub type Image = BTreeMap<String, Vec<u8>>;

/// Reads all files of a directory and of those within it.
pub fn read(directory: &Path) -> Image {
    let mut image = Image::new();
    read_into(directory, "", &mut image);
    image
}

fn read_into(directory: &Path, prefix: &str, image: &mut Image) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_into(&entry.path(), &format!("{name}/"), image);
        } else {
            image.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

/// Writes the files into a directory.
pub fn write(image: &Image, directory: &Path) {
    for (name, bytes) in image {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Makes every checksum match what it is of, as far as the files can be followed.
pub fn seal(image: &mut Image) {
    let segments: Vec<u64> = image.keys().filter_map(|name| segment(name)).collect();
    for (name, bytes) in image {
        let first = field(bytes, 40);
        if name.ends_with(".log") {
            seal_segment(bytes);
        } else if name.ends_with(".idx") {
            let segment = segments.iter().rfind(|&&segment| segment <= first);
            seal_index(bytes, first, segment.copied().unwrap_or(1));
        } else if name.ends_with(".snapshot") && bytes.len() >= 68 {
            let sum = plain(&bytes[68..]);
            bytes[64..68].copy_from_slice(&sum.to_le_bytes());
        }
        seal_label(bytes);
    }
}

fn segment(name: &str) -> Option<u64> {
    name.strip_suffix(".log")?.parse().ok()
}

fn seal_label(bytes: &mut [u8]) {
    if bytes.len() >= 64 {
        let sum = plain(&bytes[..60]);
        bytes[60..64].copy_from_slice(&sum.to_le_bytes());
    }
}

fn seal_segment(bytes: &mut [u8]) {
    let seed = seed(bytes, field(bytes, 40));
    let mut at = 64;
    while bytes.len() >= at + 48 && bytes[at + 32..at + 40] == *b"EVWFRAME" {
        let body = number(bytes, at + 16);
        let end = at + 40 + body.next_multiple_of(8) + 8;
        if end > bytes.len() {
            // The header alone, which says more than there is.
            seal_at(bytes, at + 28, seed, 1, at as u64, at, at + 28);
            return;
        }
        seal_records(&mut bytes[..at + 40 + body], at, seed);
        seal_at(bytes, at + 20, seed, 2, at as u64, at + 40, end);
        seal_at(bytes, at + 28, seed, 1, at as u64, at, at + 28);
        at = end;
    }
}

/// The records of the frame at `frame`, with whose body `bytes` end.
fn seal_records(bytes: &mut [u8], frame: usize, seed: u32) {
    let mut position = field(bytes, frame);
    let mut at = frame + 40;
    while bytes.len() >= at + 5 {
        let events = number(bytes, at);
        if events == 0 {
            let Some(note) = note_bytes(&bytes[at + 4..]) else {
                return;
            };
            at += 4 + note;
            continue;
        }
        let key = usize::from(bytes[at + 4]);
        at += 5 + key + if key > 0 { 8 } else { 0 };
        for _ in 0..events {
            if bytes.len() < at + 8 {
                return;
            }
            let end = at + number(bytes, at);
            if end < at + 8 || end > bytes.len() {
                return;
            }
            seal_at(bytes, at + 4, seed, 3, position, at + 8, end);
            position = position.wrapping_add(1);
            at = end;
        }
    }
}

/// The length of a note, from its kind on.
fn note_bytes(note: &[u8]) -> Option<usize> {
    let name = usize::from(*note.get(1)?);
    Some(match note[0] {
        1 => 2 + name + 16,
        2 => 2 + name,
        3 => 1 + 8,
        4 | 5 => 2 + name + 8,
        _ => return None,
    })
}

fn seal_index(bytes: &mut [u8], first: u64, segment: u64) {
    // The label lies within the first page.
    seal_label(bytes);
    let seed = seed(bytes, segment);
    let distance = first.wrapping_sub(segment).wrapping_shl(32);
    for page in 0..bytes.len() / 4096 {
        let place = distance.wrapping_add(page as u64);
        let from = page * 4096;
        seal_at(bytes, from + 4092, seed, 4, place, from, from + 4092);
    }
}

/// Writes the placed checksum of some bytes, where they are there.
fn seal_at(bytes: &mut [u8], at: usize, seed: u32, part: u8, place: u64, from: usize, to: usize) {
    let mut sum = update(seed, &[part]);
    sum = update(sum, &place.to_le_bytes());
    sum = !update(sum, &bytes[from..to]);
    bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
}

/// The seed of a segment, from the label of a file of the store.
fn seed(bytes: &[u8], first: u64) -> u32 {
    let mut place = [0; 24];
    if bytes.len() >= 64 {
        place[..16].copy_from_slice(&bytes[16..32]);
    }
    place[16..].copy_from_slice(&first.to_le_bytes());
    plain(&place)
}

/// CRC32C, bit by bit.
fn plain(bytes: &[u8]) -> u32 {
    !update(u32::MAX, bytes)
}

fn update(mut register: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            let is_odd = register & 1 == 1;
            register >>= 1;
            if is_odd {
                register ^= 0x82f6_3b78;
            }
        }
    }
    register
}

fn field(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..at + 8).unwrap_or(&[0; 8]);
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn number(bytes: &[u8], at: usize) -> usize {
    let bytes = bytes.get(at..at + 4).unwrap_or(&[0; 4]);
    u32::from_le_bytes(bytes.try_into().unwrap()) as usize
}
