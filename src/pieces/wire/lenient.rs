//! Reading JSON whose shape cannot be relied on.
//!
//! The rule everywhere: `null` is absent, unknown fields are skipped without allocating, and a
//! value of another type than expected is absent too. So the only errors left are those of the
//! JSON text itself, and one odd field never costs the object it is in, nor its neighbours.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Visitor methods that consume a value of the named shapes and make it the default.
macro_rules! absent {
    ($($shape:ident)*) => { $($crate::pieces::wire::lenient::absent!(@ $shape);)* };
    (@ null) => {
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@ bool) => {
        fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@ number) => {
        fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@ text) => {
        fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@ list) => {
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (@ object) => {
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}
pub(crate) use absent;

/// A struct read from the named keys of an object. Of a repeated key the last one counts.
macro_rules! lenient_object {
    ($(#[$meta:meta])* struct $name:ident $(<$lifetime:lifetime>)? { $($key:literal => $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(crate) struct $name $(<$lifetime>)? { $(pub(crate) $field: $type,)* }

        impl<'de> serde::Deserialize<'de> for $name $(<$lifetime>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(non_camel_case_types)]
                #[derive(Clone, Copy)]
                enum Key { $($field,)* Other }

                struct KeyVisitor;
                impl serde::de::Visitor<'_> for KeyVisitor {
                    type Value = Key;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a key")
                    }
                    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
                        Ok(match key { $($key => Key::$field,)* _ => Key::Other })
                    }
                }
                impl<'de> serde::Deserialize<'de> for Key {
                    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        deserializer.deserialize_identifier(KeyVisitor)
                    }
                }

                struct ObjectVisitor;
                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $name $(<$lifetime>)?;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("JSON")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                        let mut read = Self::Value::default();
                        while let Some(key) = object.next_key::<Key>()? {
                            match key {
                                $(Key::$field => read.$field = object.next_value()?,)*
                                Key::Other => { object.next_value::<serde::de::IgnoredAny>()?; }
                            }
                        }
                        Ok(read)
                    }
                    $crate::pieces::wire::lenient::absent!(null bool number text list);
                }
                deserializer.deserialize_any(ObjectVisitor)
            }
        }
    };
}
pub(crate) use lenient_object;

fn expecting(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("JSON")
}

/// A string, borrowed where it has no escapes.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Text<'a>(pub(crate) Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                expecting(f)
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
            absent!(null bool number list object);
        }
        deserializer.deserialize_any(V)
    }
}

/// Something read from a string.
pub(crate) trait FromText: Sized {
    fn from_text(text: &str) -> Option<Self>;
}

/// A string that means a `T`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parsed<T>(pub(crate) Option<T>);

impl<T> Default for Parsed<T> {
    fn default() -> Self {
        Parsed(None)
    }
}

impl<'de, T: FromText> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V<T>(PhantomData<T>);
        impl<'de, T: FromText> Visitor<'de> for V<T> {
            type Value = Parsed<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                expecting(f)
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Parsed(T::from_text(text)))
            }
            absent!(null bool number list object);
        }
        deserializer.deserialize_any(V(PhantomData))
    }
}

/// `true`, or not.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Flag(pub(crate) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Flag;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                expecting(f)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }
            absent!(null number text list object);
        }
        deserializer.deserialize_any(V)
    }
}

/// Anything a script would take for true: clients of the stream test `deleted` that way.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Truthy(pub(crate) bool);

impl<'de> Deserialize<'de> for Truthy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Truthy;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                expecting(f)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Truthy, E> {
                Ok(Truthy(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Truthy, E> {
                Ok(Truthy(value != 0))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Truthy, E> {
                Ok(Truthy(value != 0))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Truthy, E> {
                Ok(Truthy(value != 0.0))
            }
            fn visit_str<E>(self, value: &str) -> Result<Truthy, E> {
                Ok(Truthy(!value.is_empty()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Truthy, A::Error> {
                let mut any = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    any = true;
                }
                Ok(Truthy(any))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Truthy, A::Error> {
                let mut any = false;
                while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    any = true;
                }
                Ok(Truthy(any))
            }
            absent!(null);
        }
        deserializer.deserialize_any(V)
    }
}

/// A number cut down to an integer.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Integer(pub(crate) Option<i64>);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Integer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                expecting(f)
            }
            fn visit_i64<E>(self, value: i64) -> Result<Integer, E> {
                Ok(Integer(Some(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Integer, E> {
                Ok(Integer(Some(i64::try_from(value).unwrap_or(i64::MAX))))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Integer, E> {
                Ok(Integer(Some(value as i64)))
            }
            absent!(null bool text list object);
        }
        deserializer.deserialize_any(V)
    }
}

/// An array; `None` when it is something else.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Option<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for V<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                expecting(f)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(List(Some(items)))
            }
            absent!(null bool number text object);
        }
        deserializer.deserialize_any(V(PhantomData))
    }
}

/// Reads `json`; when only its strings are broken (a lone surrogate, bytes that are not UTF-8),
/// reads it with U+FFFD in their place: such names come from clients that cut text in half. A number that
/// is too great for any type is absent.
pub(crate) fn from_slice<T: serde::de::DeserializeOwned>(
    json: &[u8],
) -> Result<T, serde_json::Error> {
    serde_json::from_slice(json).or_else(|error| match repair(json) {
        Some(repaired) => serde_json::from_slice(&repaired),
        None => Err(error),
    })
}

/// `json` with everything in its strings that is not Unicode replaced and `null` for numbers that are too
/// great, or nothing if there is no such thing.
pub(crate) fn repair(json: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(json);
    let mut changed = matches!(text, Cow::Owned(_));
    let bytes = text.as_bytes();
    let mut repaired = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let mut string = false;
    while let Some(&byte) = bytes.get(at) {
        string ^= byte == b'"';
        if !string && let Some(length) = too_great(&bytes[at..]) {
            repaired.extend_from_slice(b"null");
            changed = true;
            at += length;
            continue;
        }
        // `at` is always outside an escape, so a backslash starts one and `\\u` is not taken for `\u`.
        let length = match (byte, unicode_escape(&bytes[at..])) {
            (_, Some(0xD800..0xDC00))
                if matches!(unicode_escape(&bytes[at + 6..]), Some(0xDC00..0xE000)) =>
            {
                12
            }
            (_, Some(0xD800..0xE000)) => {
                repaired.extend_from_slice(b"\\ufffd");
                changed = true;
                at += 6;
                continue;
            }
            (_, Some(_)) => 6,
            (b'\\', None) => 2,
            (b'0'..=b'9' | b'-', None) if !string => number(&bytes[at..]),
            _ => 1,
        };
        let end = bytes.len().min(at + length);
        repaired.extend_from_slice(&bytes[at..end]);
        at = end;
    }
    changed.then_some(repaired)
}

/// The length of what looks like a number and that `bytes` starts with.
fn number(bytes: &[u8]) -> usize {
    let part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    bytes.iter().take_while(part).count()
}

/// The length of the number that `bytes` starts with, if nothing can hold it.
fn too_great(bytes: &[u8]) -> Option<usize> {
    let length = number(bytes);
    let number = &bytes[..length];
    let held = length == 0 || serde_json::from_slice::<f64>(number).is_ok();
    (!held && serde_json::from_slice::<IgnoredAny>(number).is_ok()).then_some(length)
}

/// The code unit of a `\uXXXX` that `bytes` starts with.
fn unicode_escape(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.starts_with('+') {
        None
    } else {
        u16::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_too_great_are_absent() {
        let digits = "9".repeat(400);
        let table = [
            ("[1e999]", Some("[null]")),
            ("[-1E+999,1e308]", Some("[null,1e+308]")),
            (&format!("{{\"a\":{digits}}}"), Some("{\"a\":null}")),
            (
                "[\"1e999\\\"1e999\", 1e999 ]",
                Some("[\"1e999\\\"1e999\",null]"),
            ),
            ("[1e999", None),
            ("[1e999e]", None),
            ("[01e999]", None),
        ];
        for (json, expected) in table {
            let read: Option<serde_json::Value> = from_slice(json.as_bytes()).ok();
            assert_eq!(
                read.map(|read| read.to_string()).as_deref(),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn broken_strings_are_repaired_and_nothing_else() {
        let table: &[(&[u8], Option<&str>)] = &[
            (br#""plain""#, Some("plain")),
            (br#""\ud83d\ude00""#, Some("😀")),
            (br#""a\ud83d""#, Some("a\u{fffd}")),
            (br#""\ude00\ud83d!""#, Some("\u{fffd}\u{fffd}!")),
            (br#""\\ud83d""#, Some("\\ud83d")),
            (br#""\\\ud83d""#, Some("\\\u{fffd}")),
            (b"\"a\xff\"", Some("a\u{fffd}")),
            (br#""\ud83d\n""#, Some("\u{fffd}\n")),
            (br#""\ud8"#, None),
            (br#""a"#, None),
            (br#"\"#, None),
        ];
        for (json, expected) in table {
            let got: Result<String, _> = from_slice(json);
            assert_eq!(
                got.as_deref().ok(),
                *expected,
                "{}",
                String::from_utf8_lossy(json)
            );
        }
    }
}
