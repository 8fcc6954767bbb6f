use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer,
    VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::de::StrRead;
use thiserror::Error;

use crate::event::Name;

/// The enum whose variant has this name and, as JSON, this content.
pub(crate) fn decode_parts<T: DeserializeOwned>(
    name: Name<'_>,
    content: &[u8],
) -> Result<T, Undecoded> {
    T::deserialize(Named { name, content })
}

/// Why a name and its content are not a value of the enum.
#[derive(Debug, Error)]
pub(crate) enum Undecoded {
    #[error("no variant is named {name:?}")]
    UnknownName { name: String },
    #[error(transparent)]
    Content(#[from] serde_json::Error),
}

impl de::Error for Undecoded {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Content(de::Error::custom(message))
    }

    fn unknown_variant(name: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownName {
            name: name.to_owned(),
        }
    }
}

struct Named<'de, 'n> {
    name: Name<'n>,
    content: &'de [u8],
}

impl<'de> Deserializer<'de> for Named<'de, '_> {
    type Error = Undecoded;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Undecoded> {
        let name = self.name.as_bytes();
        let mut variants = variants.iter().copied();
        let listed = variants.find(|variant| variant.as_bytes() == name);
        visitor.visit_enum(Variant {
            name: listed.unwrap_or_else(|| self.name.as_str()),
            content: Content {
                json: self.content,
                is_listed: listed.is_some(),
            },
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Undecoded> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Undecoded> {
        Err(de::Error::custom(format_args!(
            "{} is not an externally tagged enum",
            std::any::type_name::<V::Value>()
        )))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Variant<'de, 'n> {
    name: &'n str,
    content: Content<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'de, '_> {
    type Error = Undecoded;
    type Variant = Content<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'de>), Undecoded> {
        let name: StrDeserializer<'_, Undecoded> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.content))
    }
}

struct Content<'de> {
    json: &'de [u8],
    /// Whether the enum names the variant; if not, this is its `#[serde(other)]`.
    is_listed: bool,
}

impl<'de> Content<'de> {
    /// Reads the content to its end. That it is UTF-8 is checked once, and not of each string
    /// in it.
    fn read<T>(
        &self,
        read: impl FnOnce(&mut serde_json::Deserializer<StrRead<'de>>) -> serde_json::Result<T>,
    ) -> Result<T, Undecoded> {
        let text = std::str::from_utf8(self.json).map_err(<Undecoded as de::Error>::custom)?;
        let mut json = serde_json::Deserializer::from_str(text);
        let value = read(&mut json)?;
        json.end()?;
        Ok(value)
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Undecoded;

    /// `null`, or nothing at all; anything for a variant that stands for all other names.
    fn unit_variant(self) -> Result<(), Undecoded> {
        if !self.is_listed || self.json.is_empty() {
            return Ok(());
        }
        self.read(|json| <()>::deserialize(json))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Undecoded> {
        self.read(|json| seed.deserialize(json))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Undecoded> {
        self.read(|json| json.deserialize_tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Undecoded> {
        self.read(|json| json.deserialize_struct("", fields, visitor))
    }
}
