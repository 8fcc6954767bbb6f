//! What is parsed: streams as servers send them, and how they arrive.

use bytes::Bytes;

/// A stream of events of one kind.
pub struct Corpus {
    pub name: &'static str,
    pub events: usize,
    pub stream: Bytes,
}

/// A way to cut a stream.
#[derive(Clone, Copy)]
pub struct Cut {
    pub name: &'static str,
    pub size: usize,
}

pub const CUTS: [Cut; 4] = [
    Cut {
        name: "whole",
        size: usize::MAX,
    },
    Cut {
        name: "16 KiB",
        size: 16 << 10,
    },
    Cut {
        name: "1,460 B",
        size: 1_460,
    },
    Cut {
        name: "7 B",
        size: 7,
    },
];

impl Corpus {
    pub fn all() -> Vec<Self> {
        vec![
            Self::repeated("openai, 280 B", 512 << 10, &openai()),
            Self::repeated("tiny `data: x`", 256 << 10, b"data: x\n\n"),
            Self::repeated("anthropic, event + 120 B", 512 << 10, &anthropic()),
            Self::repeated("feed, event + id + 90 B", 512 << 10, &feed()),
            Self::repeated("openai with CRLF", 512 << 10, &crlf(&openai())),
            Self::repeated("64 lines of 1 KiB", 1 << 20, &lines(64, 1_023)),
            Self::repeated("100 lines of 8 B", 512 << 10, &lines(100, 8)),
            Self::repeated("keep-alive `:`", 64 << 10, b":\n\n"),
            Self::repeated("one line of 1 MiB", 4 << 20, &lines(1, 1 << 20)),
        ]
    }

    fn repeated(name: &'static str, size: usize, event: &[u8]) -> Self {
        let events = size.div_ceil(event.len());
        Self {
            name,
            events,
            stream: Bytes::from(event.repeat(events)),
        }
    }

    /// The stream, cut, as many times over as lets a parser forget how it began, and how many
    /// events that are.
    pub fn chunks(&self, cut: Cut) -> (Vec<Bytes>, usize) {
        let size = cut.size.min(self.stream.len());
        let times = if size < 1_000 {
            1
        } else {
            (8 << 20) / self.stream.len()
        };
        let once = (0..self.stream.len())
            .step_by(size)
            .map(|at| self.stream.slice(at..self.stream.len().min(at + size)));
        let chunks: Vec<Bytes> = once.collect();
        (
            std::iter::repeat_n(chunks, times).flatten().collect(),
            self.events * times,
        )
    }
}

pub fn openai_data() -> Vec<u8> {
    let head = r#"{"id":"chatcmpl-9vN2kQeYb3cT5hWm","object":"chat.completion.chunk","created":1763715600,"model":"gpt-5.1-2026-10-02","service_tier":"default","system_fingerprint":"fp_560af6e559","choices":[{"index":0,"delta":{"content":" "#;
    let tail = r#""},"logprobs":null,"finish_reason":null}]}"#;
    let mut data = head.as_bytes().to_vec();
    data.resize(280 - "data: \n\n".len() - tail.len(), b'w');
    data.extend_from_slice(tail.as_bytes());
    data
}

fn openai() -> Vec<u8> {
    [b"data: ", openai_data().as_slice(), b"\n\n"].concat()
}

fn anthropic() -> Vec<u8> {
    let head = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""#;
    let mut data = head.as_bytes().to_vec();
    data.resize(120 - 3, b'w');
    data.extend_from_slice(b"\"}}");
    [
        b"event: content_block_delta\ndata: ",
        data.as_slice(),
        b"\n\n",
    ]
    .concat()
}

pub fn feed_data() -> Vec<u8> {
    let mut data = br#"{"room":"lobby","author":"ada","text":""#.to_vec();
    data.resize(86 - 2, b'w');
    data.extend_from_slice(b"\"}");
    data
}

fn feed() -> Vec<u8> {
    [
        b"event: message-posted\nid: 7f3a.104211\ndata: ",
        feed_data().as_slice(),
        b"\n\n",
    ]
    .concat()
}

fn crlf(lf: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(lf)
        .replace('\n', "\r\n")
        .into_bytes()
}

fn lines(count: usize, len: usize) -> Vec<u8> {
    let line = [b"data: ", vec![b'w'; len].as_slice(), b"\n"].concat();
    [line.repeat(count).as_slice(), b"\n"].concat()
}

/// `count` lines of `len` bytes, joined by LF.
pub fn text(count: usize, len: usize) -> Vec<u8> {
    vec![vec![b'w'; len]; count].join(&b'\n')
}
