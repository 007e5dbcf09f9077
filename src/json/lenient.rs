//! Serde types for JSON whose shape cannot be relied on.
//!
//! `null` counts as absent, unknown fields are skipped without allocating, and a value of an unexpected
//! type counts as absent too. The only errors left are syntax errors, so one malformed field never costs its
//! object or other fields.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Visitor methods that skip a value of the named types and return the default.
macro_rules! absent {
    ($($shape:ident)*) => { $($crate::json::lenient::absent!(@ $shape);)* };
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

/// A struct read from the named keys of an object. If a key is repeated, the last value wins.
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
                    $crate::json::lenient::absent!(null bool number text list);
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

/// A string, borrowed if it has no escapes.
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

/// A value that is written as a string.
pub(crate) trait FromText: Sized {
    fn from_text(text: &str) -> Option<Self>;
}

impl FromText for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// A string that `T` can be read from.
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

/// `true`; anything else is `false`.
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

/// JavaScript's truth: existing clients of the stream test `deleted` that way.
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

/// A number, truncated to an integer.
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

/// An array; `None` for any other type.
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
                    reserve_first(&mut items);
                    items.push(item);
                }
                Ok(List(Some(items)))
            }
            absent!(null bool number text object);
        }
        deserializer.deserialize_any(V(PhantomData))
    }
}

/// Makes room for the first few items of a list, so that a short one is allocated once.
pub(super) fn reserve_first<T>(items: &mut Vec<T>) {
    const BYTES: usize = 512;
    if items.capacity() == 0 {
        items.reserve_exact((BYTES / size_of::<T>().max(1)).max(1));
    }
}
