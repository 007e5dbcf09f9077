//! The checks that the targets run; `tests/properties` runs the same.

#[path = "../../tests/properties/oracles/mod.rs"]
pub mod oracles;
