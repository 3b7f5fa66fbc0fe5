//! Reads JSON as a type, in JSON's own words: a fault says where in the value it is, and what must be there.
//!
//! Stricter than serde alone: what has fields is an object and never an array, and one of some names is a string.

use std::fmt::Display;

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, EnumAccess, Error, Expected, IntoDeserializer,
        MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor, value::StrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value, map};

/// The longest text that is answered of what was sent, in characters.
const LONGEST: usize = 200;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Fault {
    /// Where in the value, such as `[0].tier`; empty for all of it.
    pub(crate) at: String,
    /// What must be there.
    pub(crate) detail: String,
}

impl Fault {
    /// The field at fault, in a value that stands `below` another; empty for all of a value that stands nowhere.
    pub(crate) fn field_below(&self, below: &str) -> String {
        format!("{below}{}", self.at).trim_start_matches('.').to_owned()
    }

    fn new(detail: impl Into<String>) -> Self {
        Self { at: String::new(), detail: detail.into() }
    }

    fn must(expected: &str) -> Self {
        let must = match expected {
            "u8" => "a whole number from 0 to 255",
            "u16" => "a whole number from 0 to 65535",
            "u32" => "a whole number from 0 to 4294967295",
            "u64" | "usize" => "a whole number, 0 or more",
            "i64" | "i32" => "a whole number",
            "a nonzero u16" => "a whole number from 1 to 65535",
            "a nonzero u32" => "a whole number from 1 to 4294967295",
            "a boolean" => "`true` or `false`",
            "a sequence" => "an array",
            "a map" => "an object",
            fields if fields.starts_with("struct ") => "an object",
            other => other,
        };
        Self::new(format!("must be {must}"))
    }

    fn one_of(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        Self::new(match names.as_slice() {
            [name] => format!("must be {name}"),
            names => format!("must be one of {}", names.join(", ")),
        })
    }

    fn field(name: &str, detail: &str) -> Self {
        Self::new(detail).within(name)
    }

    /// The same fault, in a field of an object.
    fn within(self, name: &str) -> Self {
        Self { at: format!(".{}{}", cut(name), self.at), ..self }
    }

    /// The same fault, in an item of an array.
    fn of_item(self, index: usize) -> Self {
        Self { at: format!("[{index}]{}", self.at), ..self }
    }
}

impl Error for Fault {
    fn custom<T: Display>(text: T) -> Self {
        Self::new(cut(&text.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::must(&expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::must(&expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::must(&expected.to_string())
    }

    fn unknown_variant(_: &str, names: &'static [&'static str]) -> Self {
        Self::one_of(names)
    }

    fn unknown_field(name: &str, _: &'static [&'static str]) -> Self {
        Self::field(name, UNKNOWN)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::field(name, MISSING)
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::field(name, "is given twice, by two names; give it once")
    }
}

/// What is said of a field that nobody reads.
pub(crate) const UNKNOWN: &str = "there is no such field here; check its spelling";

/// What is said of a field that is not there.
pub(crate) const MISSING: &str = "must be given";

/// A text of somebody else's, not longer than is worth repeating.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Reads a value. `written`: it comes from a query, where numbers and flags are written out.
pub(crate) fn read<T: DeserializeOwned>(value: &Value, written: bool) -> Result<T, Fault> {
    T::deserialize(Reader { value, written })
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    value: &'a Value,
    written: bool,
}

impl<'a> Reader<'a> {
    fn of(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    /// What a query's text stands for, if it is written like a number or a flag.
    fn meant(self) -> Option<Value> {
        let text = self.value.as_str().filter(|_| self.written)?;
        serde_json::from_str(text).ok().filter(|meant: &Value| !meant.is_string())
    }
}

/// A number or a flag, also where it is written out.
macro_rules! written {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.meant() {
                Some(Value::Bool(flag)) => visitor.visit_bool(flag),
                Some(Value::Number(number)) => visit_number(&number, visitor),
                Some(_) | None => self.deserialize_any(visitor),
            }
        })*
    };
}

fn visit_number<'a, V: Visitor<'a>>(
    number: &serde_json::Number,
    visitor: V,
) -> Result<V::Value, Fault> {
    if let Some(number) = number.as_u64() {
        visitor.visit_u64(number)
    } else if let Some(number) = number.as_i64() {
        visitor.visit_i64(number)
    } else {
        visitor.visit_f64(number.as_f64().unwrap_or_default())
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Number(number) => visit_number(number, visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items { reader: self, items, next: 0 }),
            Value::Object(fields) => visitor.visit_map(Fields::of(self, fields)),
        }
    }

    written!(
        deserialize_bool deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_f32 deserialize_f64
    );

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.value {
            Value::Object(fields) => visitor.visit_map(Fields::of(self, fields)),
            _ => Err(Fault::must("an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.value {
            Value::String(name) => {
                let name: StrDeserializer<'_, Fault> = name.as_str().into_deserializer();
                visitor.visit_enum(name)
            }
            Value::Object(fields) if fields.len() == 1 => {
                let chosen = Chosen { fields: Fields::of(self, fields), names };
                visitor.visit_enum(chosen)
            }
            _ => Err(Fault::one_of(names)),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    items: &'a [Value],
    next: usize,
}

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(self.reader.of(item)).map(Some).map_err(|fault| fault.of_item(index))
    }
}

struct Fields<'a> {
    reader: Reader<'a>,
    fields: map::Iter<'a>,
    value: Option<(&'a str, &'a Value)>,
}

impl<'a> Fields<'a> {
    fn of(reader: Reader<'a>, fields: &'a Map<String, Value>) -> Self {
        Self { reader, fields: fields.iter(), value: None }
    }
}

impl<'a> MapAccess<'a> for Fields<'a> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((name, value)) = self.fields.next() else { return Ok(None) };
        self.value = Some((name, value));
        let name: StrDeserializer<'_, Fault> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.value.take().unwrap_or(("", &Value::Null));
        seed.deserialize(self.reader.of(value)).map_err(|fault| fault.within(name))
    }
}

/// One of several things, each with what belongs to it.
struct Chosen<'a> {
    fields: Fields<'a>,
    names: &'static [&'static str],
}

impl<'a> EnumAccess<'a> for Chosen<'a> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'a>>(mut self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name = self.fields.next_key_seed(seed)?;
        name.map(|name| (name, self)).ok_or_else(|| Fault::must("an object"))
    }
}

impl<'a> VariantAccess<'a> for Chosen<'a> {
    type Error = Fault;

    /// A name with nothing to it is written as a string.
    fn unit_variant(self) -> Result<(), Fault> {
        Err(Fault::one_of(self.names))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(mut self, seed: T) -> Result<T::Value, Fault> {
        self.fields.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::one_of(self.names))
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(Fault::one_of(self.names))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, num::NonZeroU16};

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct TierRoles {
        tier: String,
        roles: BTreeSet<u64>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Status {
        Active,
        PastDue,
    }

    fn fault<T: DeserializeOwned + std::fmt::Debug>(value: &Value) -> (String, String) {
        let Fault { at, detail } = read::<T>(value, false).unwrap_err();
        (at, detail)
    }

    fn said(at: &str, detail: &str) -> (String, String) {
        (at.to_owned(), detail.to_owned())
    }

    #[test]
    fn a_fault_is_named_where_it_is() {
        let value = json!([{ "tier": "gold", "roles": [1] }, { "tier": "vip", "roles": [1, "x"] }]);
        let must = "must be a whole number, 0 or more";
        assert_eq!(fault::<Vec<TierRoles>>(&value), said("[1].roles[1]", must));
        let value = json!([{ "tier": "gold" }]);
        assert_eq!(fault::<Vec<TierRoles>>(&value), said("[0].roles", MISSING));
        let value = json!([{ "tier": "gold", "rolls": [] }]);
        assert_eq!(fault::<Vec<TierRoles>>(&value), said("[0].rolls", UNKNOWN));
    }

    #[test]
    fn what_must_be_there_is_said_in_the_words_of_json() {
        assert_eq!(fault::<u32>(&json!("1")).1, "must be a whole number from 0 to 4294967295");
        assert_eq!(fault::<u64>(&json!(-1)).1, "must be a whole number, 0 or more");
        assert_eq!(fault::<NonZeroU16>(&json!(0)).1, "must be a whole number from 1 to 65535");
        assert_eq!(fault::<bool>(&json!("yes")).1, "must be `true` or `false`");
        assert_eq!(fault::<String>(&json!(null)).1, "must be a string");
        assert_eq!(fault::<Vec<u8>>(&json!({})).1, "must be an array");
        for value in [json!(5), json!("Active"), json!({}), json!([])] {
            assert_eq!(fault::<Status>(&value).1, "must be one of `active`, `past_due`");
        }
    }

    #[test]
    fn only_objects_have_fields_and_names_are_strings() {
        assert_eq!(fault::<TierRoles>(&json!(["gold", [1]])).1, "must be an object");
        let named = json!({ "active": null });
        assert_eq!(fault::<Status>(&named).1, "must be one of `active`, `past_due`");
        assert_eq!(read::<Status>(&json!("past_due"), false), Ok(Status::PastDue));
    }

    #[test]
    fn a_query_writes_numbers_and_flags_out() {
        assert_eq!(read::<u64>(&json!("7"), true), Ok(7));
        assert_eq!(read::<bool>(&json!("true"), true), Ok(true));
        assert_eq!(read::<String>(&json!("7"), true), Ok("7".to_owned()));
        assert_eq!(read::<Option<u32>>(&json!("7"), true), Ok(Some(7)));
        assert!(read::<u64>(&json!("\"7\""), true).is_err());
    }

    #[test]
    fn no_more_is_repeated_than_is_worth_it() {
        let long = "x".repeat(100_000);
        let (at, _) = fault::<TierRoles>(&json!({ long: 1 }));
        assert!(at.len() < 300);
    }
}
