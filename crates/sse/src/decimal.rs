use core::time::Duration;

/// Digits of a `u64`, at most 20, at the end of `digits`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// Whole milliseconds, rounded up, at most `u64::MAX`.
    pub(crate) fn millis(delay: Duration) -> Self {
        let millis = delay.as_nanos().div_ceil(1_000_000);
        Self::new(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn new(mut value: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            let digit = u8::try_from(value % 10).expect("a remainder of ten fits a byte");
            digits[start] += digit;
            value /= 10;
            if value == 0 {
                return Self { digits, start };
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.digits.len() - self.start
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_up_to_whole_milliseconds() {
        for (delay, expected) in [
            (Duration::ZERO, "0"),
            (Duration::from_nanos(1), "1"),
            (Duration::from_millis(9), "9"),
            (Duration::from_micros(10_001), "11"),
            (Duration::from_secs(3), "3000"),
            (Duration::MAX, "18446744073709551615"),
        ] {
            assert_eq!(
                Decimal::millis(delay).as_bytes(),
                expected.as_bytes(),
                "{delay:?}"
            );
        }
    }
}
