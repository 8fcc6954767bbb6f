//! A second reader of event streams, in the plainest way, that accepts only what the HTTP
//! profile lets a server write: a narrower language than the one browsers read.

/// What stands between two blank lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

/// Bytes in, blocks out; an unfinished one is kept for the next bytes.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    unfinished: Vec<u8>,
    /// How much of it was looked through for an end.
    seen: usize,
}

impl Blocks {
    /// # Panics
    /// Where the bytes are not what the profile allows.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Block> {
        self.unfinished.extend_from_slice(bytes);
        let mut blocks = Vec::new();
        while let Some(end) = self.end() {
            let block: Vec<u8> = self.unfinished.drain(..end).collect();
            self.seen = 0;
            let text = String::from_utf8(block).expect("a stream is UTF-8");
            assert!(!text.contains('\r'), "lines end in LF alone: {text:?}");
            blocks.extend(block_of(&text));
        }
        // The first half of an end may be the last byte.
        self.seen = self.unfinished.len().saturating_sub(1);
        blocks
    }

    /// The length of the first block.
    fn end(&self) -> Option<usize> {
        let pairs = self.unfinished[self.seen..].windows(2);
        let mut pairs = pairs.zip(self.seen..);
        let end = pairs.find(|(pair, _)| *pair == b"\n\n");
        end.map(|(_, at)| at + 2)
    }
}

/// None where it is a comment.
fn block_of(text: &str) -> Option<Block> {
    let (mut name, mut id, mut data) = (None, None, Vec::new());
    let mut rank = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (field, value) = line.split_once(':').expect("a line has a colon");
        let value = value.strip_prefix(' ').unwrap_or(value);
        let order = ["", "event", "id", "retry", "data"];
        let this_rank = order.iter().position(|known| *known == field);
        let this_rank = this_rank.unwrap_or_else(|| panic!("a field of no meaning: {line:?}"));
        let is_in_order = rank < this_rank || (rank == this_rank && field == "data");
        assert!(is_in_order || field.is_empty(), "out of order: {text:?}");
        rank = this_rank;
        match field {
            "event" => name = Some(value.to_owned()),
            "id" => id = Some(value.to_owned()),
            "data" => data.push(value),
            "retry" => assert!(value.parse::<u64>().is_ok(), "{line:?}"),
            _ => {}
        }
    }
    if rank == 0 {
        return None;
    }
    assert!(!data.is_empty(), "a block without data: {text:?}");
    let data = data.join("\n");
    Some(Block { name, id, data })
}
