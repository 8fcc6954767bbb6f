//! The chunked coding of HTTP/1.1 (RFC 9112, section 7.1).

use std::io::Write as _;

use eventwire_sse::Frame;

/// The chunk after which there is none.
pub(crate) const LAST: &[u8] = b"0\r\n\r\n";

/// Appends frames as one chunk; nothing where there are none, since an empty chunk is the last.
pub(crate) fn put(out: &mut Vec<u8>, frames: &[Frame]) {
    let length: usize = frames.iter().map(Frame::len).sum();
    if length == 0 {
        return;
    }
    out.reserve(length + 20);
    write!(out, "{length:x}\r\n").expect("memory takes all that is written");
    for frame in frames {
        out.extend_from_slice(frame.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_one_chunk() {
        let mut out = Vec::new();
        put(&mut out, &[]);
        put(&mut out, &[Frame::default()]);
        assert!(out.is_empty());
        put(&mut out, &[Frame::HEARTBEAT, Frame::comment("0123456789")]);
        assert_eq!(out, b"11\r\n:\n\n: 0123456789\n\n\r\n");
    }
}
