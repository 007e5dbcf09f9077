//! The guard around stdin and stdout: everything between the pipes and the protocol logic.
//!
//! It survives what editors really send and do: broken bodies, absurd headers, pipes that close,
//! parents that die. It knows JSON-RPC envelopes and nothing of LSP methods or LSP libraries.

mod frames;
mod message;
pub mod parent;
mod stdin;
mod stdout;

pub use frames::{FrameError, FrameReader, MAX_BODY, MAX_HEADER};
pub use message::{End, Fault, Id, Inbound};
pub use stdin::{read, stdin};
pub use stdout::{Closed, Output};
