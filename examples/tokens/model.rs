use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep_until};

/// How many tokens an answer has.
const LENGTH: usize = 160;

/// Stands in for a model: it says the words of the prompt over and over, one token after the
/// other, as fast as it was made to. A real one is asked to complete what it has said so far.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pace: Duration,
}

impl Model {
    pub(crate) fn new(pace: Duration) -> Self {
        Self { pace }
    }

    /// The tokens of the answer after the first `said`. Those that were due while nobody asked
    /// come together.
    pub(crate) fn answer(&self, prompt: &str, said: usize) -> impl Stream<Item = String> + use<> {
        let words: Vec<String> = prompt.split_whitespace().map(str::to_owned).collect();
        let (pace, begun) = (self.pace, Instant::now());
        stream::iter(said..LENGTH).then(move |nth| {
            let token = token(&words, nth);
            async move {
                let done = u32::try_from(nth + 1 - said).expect("an answer is short");
                sleep_until(begun + pace * done).await;
                token
            }
        })
    }
}

fn token(words: &[String], nth: usize) -> String {
    let word = match words.len() {
        0 => "...",
        count => &words[nth % count],
    };
    match nth {
        0 => word.to_owned(),
        _ => format!(" {word}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_goes_on_is_the_same_answer() {
        let model = Model::new(Duration::ZERO);
        let whole: Vec<_> = model.answer("a b c", 0).collect().await;
        assert_eq!(whole.len(), LENGTH);
        assert_eq!(whole[..4], ["a", " b", " c", " a"]);
        for said in [1, 7, LENGTH - 1, LENGTH] {
            let rest: Vec<_> = model.answer("a b c", said).collect().await;
            assert_eq!(rest, whole[said..]);
        }
    }
}
