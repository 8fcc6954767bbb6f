use bytes::Bytes;
use eventwire_store::{StreamName, Version};

use super::Fields;

/// The streams that an append wrote to, with their versions afterwards.
pub(crate) fn encode_places(streams: &[(StreamName, Version)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (stream, version) in streams {
        let name = stream.as_str();
        out.push(u8::try_from(name.len()).expect("MAX_NAME_BYTES fits 8 bits"));
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&version.get().to_le_bytes());
    }
    out
}

/// The streams that `bytes` are.
pub(crate) fn decode_places(bytes: &[u8]) -> Option<Vec<(StreamName, Version)>> {
    let mut fields = Fields(bytes);
    let mut streams = Vec::new();
    while !fields.0.is_empty() {
        let length = fields.u8()?;
        let name = Bytes::copy_from_slice(fields.take(length.into())?);
        let version = Version::new(fields.u64()?)?;
        streams.push((StreamName::from_bytes(name).ok()?, version));
    }
    Some(streams)
}
