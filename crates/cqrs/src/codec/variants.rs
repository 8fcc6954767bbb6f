use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The names an externally tagged enum is read by; none where the type is not one.
///
/// Serde tells a deserializer the names before it asks for anything: this one listens and
/// fails.
pub(crate) fn variants<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    match T::deserialize(Listener) {
        Err(Heard::Variants(names)) => Some(names),
        Err(Heard::Other) | Ok(_) => None,
    }
}

struct Listener;

#[derive(Debug)]
enum Heard {
    Variants(&'static [&'static str]),
    Other,
}

impl<'de> Deserializer<'de> for Listener {
    type Error = Heard;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Heard> {
        Err(Heard::Variants(variants))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Heard> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Heard> {
        Err(Heard::Other)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl de::Error for Heard {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }
}

impl std::error::Error for Heard {}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("listened to the names of an enum's variants")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[test]
    fn the_names_are_those_serde_reads() {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[expect(dead_code, reason = "only its names matter")]
        enum Plain {
            MessagePosted {
                text: String,
            },
            #[serde(alias = "shut")]
            Closed,
            #[serde(skip)]
            Hidden,
        }
        #[derive(Deserialize)]
        #[expect(dead_code, reason = "only its names matter")]
        struct Wrapped(Plain);
        let names = &["message-posted", "closed", "shut"][..];
        assert_eq!(variants::<Plain>(), Some(names));
        assert_eq!(variants::<Wrapped>(), Some(names));
    }

    #[test]
    fn what_is_no_externally_tagged_enum_has_no_names() {
        #[derive(Deserialize)]
        #[serde(tag = "kind")]
        #[expect(dead_code, reason = "only its form matters")]
        enum Internal {
            A { x: u8 },
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        #[expect(dead_code, reason = "only its form matters")]
        enum Untagged {
            A { x: u8 },
        }
        assert_eq!(variants::<Internal>(), None);
        assert_eq!(variants::<Untagged>(), None);
        assert_eq!(variants::<String>(), None);
        assert_eq!(variants::<()>(), None);
    }
}
