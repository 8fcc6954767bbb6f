use std::fmt::Display;

use serde::Serialize;
use serde::ser::{
    Error as _, Impossible, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleVariant, Serializer,
};
use serde_json::{Error, Result};
use smallvec::SmallVec;

/// A payload under way. Most fit, and are then one allocation of their own length.
pub(crate) type Payload = SmallVec<[u8; 128]>;

type Json = serde_json::Serializer<Payload>;

/// The name of a value's variant, and the variant's content as JSON.
pub(super) fn encode_parts<T: Serialize>(value: &T) -> Result<(&'static str, Payload)> {
    let mut json = Json::new(Payload::new());
    let name = value.serialize(Outer { json: &mut json })?;
    Ok((name, json.into_inner()))
}

/// Takes the variant's name off and lets JSON have its content.
struct Outer<'a> {
    json: &'a mut Json,
}

/// The content of a variant with several fields, under way.
struct Fields<C> {
    name: &'static str,
    content: C,
}

fn no_enum<T>(what: impl Display) -> Result<T> {
    Err(Error::custom(format_args!(
        "{what} is not a variant of an externally tagged enum"
    )))
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*) $what:literal)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<&'static str> {
            no_enum($what)
        }
    )*};
}

impl<'a> Serializer for Outer<'a> {
    type Ok = &'static str;
    type Error = Error;
    type SerializeSeq = Impossible<&'static str, Error>;
    type SerializeTuple = Impossible<&'static str, Error>;
    type SerializeTupleStruct = Impossible<&'static str, Error>;
    type SerializeTupleVariant = Fields<<&'a mut Json as Serializer>::SerializeTuple>;
    type SerializeMap = Impossible<&'static str, Error>;
    type SerializeStruct = Impossible<&'static str, Error>;
    type SerializeStructVariant = Fields<<&'a mut Json as Serializer>::SerializeStruct>;

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<&'static str> {
        self.json.serialize_unit()?;
        Ok(variant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<&'static str> {
        value.serialize(self.json)?;
        Ok(variant)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Ok(Fields {
            name: variant,
            content: self.json.serialize_tuple(len)?,
        })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant> {
        Ok(Fields {
            name: variant,
            content: self.json.serialize_struct(name, len)?,
        })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<&'static str> {
        value.serialize(self)
    }

    refuse! {
        serialize_bool(bool) "a boolean"
        serialize_i8(i8) "a number"
        serialize_i16(i16) "a number"
        serialize_i32(i32) "a number"
        serialize_i64(i64) "a number"
        serialize_i128(i128) "a number"
        serialize_u8(u8) "a number"
        serialize_u16(u16) "a number"
        serialize_u32(u32) "a number"
        serialize_u64(u64) "a number"
        serialize_u128(u128) "a number"
        serialize_f32(f32) "a number"
        serialize_f64(f64) "a number"
        serialize_char(char) "a character"
        serialize_str(&str) "a string"
        serialize_bytes(&[u8]) "a byte string"
        serialize_none() "an option"
        serialize_unit() "a unit"
        serialize_unit_struct(&'static str) "a unit struct"
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<&'static str> {
        no_enum("an option")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq> {
        no_enum("a sequence")
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        no_enum("a tuple")
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct> {
        no_enum("a tuple struct")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
        no_enum("a map")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct> {
        no_enum("a struct")
    }
}

impl<C: SerializeTuple<Ok = (), Error = Error>> SerializeTupleVariant for Fields<C> {
    type Ok = &'static str;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.content.serialize_element(value)
    }

    fn end(self) -> Result<&'static str> {
        self.content.end()?;
        Ok(self.name)
    }
}

impl<C: SerializeStruct<Ok = (), Error = Error>> SerializeStructVariant for Fields<C> {
    type Ok = &'static str;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<()> {
        self.content.serialize_field(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<()> {
        self.content.skip_field(key)
    }

    fn end(self) -> Result<&'static str> {
        self.content.end()?;
        Ok(self.name)
    }
}
