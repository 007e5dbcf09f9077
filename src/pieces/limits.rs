//! Every deadline and size limit of this module, each with its reason.

use std::time::Duration;

/// A loopback connection takes microseconds; this bounds a full backlog or a firewall.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// One small object: normally milliseconds, seconds while the service compacts its database.
pub(super) const SMALL_GET: Duration = Duration::from_secs(10);
/// The first byte of a whole collection, which the service may build completely before sending.
pub(super) const COLLECTION_START: Duration = Duration::from_secs(60);
/// Longest pause within a collection.
pub(super) const COLLECTION_IDLE: Duration = Duration::from_secs(30);
/// A whole collection, however slowly it arrives.
pub(super) const COLLECTION_TOTAL: Duration = Duration::from_secs(600);
/// A write to the database without a model.
pub(super) const POST: Duration = Duration::from_secs(30);
/// An import: one transaction of up to 256 MiB.
pub(super) const IMPORT: Duration = Duration::from_secs(90);
/// `create/from_asset` may summarise with a model on the user's CPU.
pub(super) const FROM_ASSET: Duration = Duration::from_secs(120);
/// One object with all its content: a saved file may be megabytes.
pub(super) const WHOLE_OBJECT: Duration = Duration::from_secs(30);
/// Waiting for one of [`GETS_IN_FLIGHT`], which two collections may hold for a while, or [`POSTS_IN_FLIGHT`].
pub(super) const QUEUE: Duration = Duration::from_secs(120);
/// The text of an error response; what arrives later is omitted.
pub(super) const REFUSAL_TEXT: Duration = Duration::from_secs(2);

/// Concurrent GETs in each lane, interactive and background. The server takes a database lock per read, so
/// more would only queue there.
pub(super) const GETS_IN_FLIGHT: usize = 2;

/// Each POST has its own connection, and some systems give a process few descriptors. The local service
/// commits concurrent writes in one transaction, so a few at once are as fast as hundreds.
pub(super) const POSTS_IN_FLIGHT: usize = 16;

/// One object: a conversation of thousands of messages is a few hundred kilobytes of ids.
pub(super) const SMALL_BODY: usize = 16 << 20;
/// One object with all its content.
pub(super) const WHOLE_BODY: usize = 64 << 20;
/// A collection that is passed on unparsed, so it has to be in memory.
pub(super) const COLLECTION_BODY: usize = 512 << 20;
/// A collection that is parsed item by item and never held.
pub(super) const STREAMED_BODY: u64 = 4 << 30;
/// One item of a collection.
pub(super) const STREAMED_ITEM: usize = 64 << 20;
/// Chunks between the socket and the parser; one is at most about 400 KiB (hyper's largest read).
pub(super) const CHUNKS_IN_FLIGHT: usize = 16;
/// Bytes of an error text that are shown.
pub(super) const REFUSAL_BODY: usize = 1024;
/// A health text has 39 bytes, a version about ten.
pub(super) const TINY_BODY: usize = 1024;

/// The whole WebSocket handshake, connect included.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// Silence before a ping: the peer may have disappeared (sleep, half-open socket).
pub(super) const STREAM_IDLE: Duration = Duration::from_secs(20);
/// Silence after the ping that ends the stream.
pub(super) const STREAM_PONG: Duration = Duration::from_secs(10);
/// The first frame lists every id, at 60 to 150 bytes each: room for well over a million of them.
pub(super) const STREAM_MESSAGE: usize = 256 << 20;

/// The first word or thought of an answer of Pieces OS: a model may have to be loaded first.
pub(super) const ANSWER_START: Duration = Duration::from_secs(600);
/// A pause within an answer of Pieces OS.
pub(super) const ANSWER_PAUSE: Duration = Duration::from_secs(120);
/// Silence of the local service during an answer. It enforces the deadlines of the model itself, but sends nothing while
/// a model thinks.
pub(super) const ANSWER_LOCAL: Duration = Duration::from_secs(3600);
/// Stopping an answer, which only closes a connection.
pub(super) const STOP: Duration = Duration::from_secs(2);

/// Connecting to a loopback port. A closed one refuses at once, but Windows tries it again for two seconds; elsewhere this
/// bounds a full backlog or a firewall.
pub(super) const PROBE_CONNECT: Duration =
    Duration::from_millis(if cfg!(windows) { 250 } else { 1000 });
/// The response of a health route, connect included: milliseconds, but more than a second on a machine that starts up,
/// compiles or swaps. A service that is missed costs more than the wait for a port that never responds.
pub(super) const PROBE_ANSWER: Duration = Duration::from_secs(2);
/// Reading a port file, which may lie on a network home directory.
pub(super) const PORT_FILE: Duration = Duration::from_secs(1);
