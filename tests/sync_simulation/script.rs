//! What happens in one run: a setting, and operations in order.

use super::rng::Rng;

/// What kind of server it is, and how it behaves all the time.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Drives everything that the operations leave open, such as how long an answer takes.
    pub seed: u64,
    pub single_fetch: bool,
    /// `/anchors` and `/assets`.
    pub ties: bool,
    /// Those streams; without them nobody tells of an anchor.
    pub tie_streams: bool,
    pub first_frame: FirstFrame,
    /// `updated` stays as it is when a conversation changes.
    pub clock_stopped: bool,
    /// Conversations at the start.
    pub conversations: u64,
    /// Longest time a request takes to the server and back, in ms.
    pub latency: u64,
    /// One frame in so many comes twice, or late; 0 = none.
    pub twice: u64,
    pub late: u64,
    /// GET of a conversation that is gone fails (500).
    pub gone_is_error: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstFrame {
    Whole,
    Split,
    Missing,
}

/// Numbers choose an object among those that are there.
#[derive(Debug, Clone)]
pub enum Op {
    /// Time passes, in ms.
    Wait(u64),
    Create(u64),
    Update(u64),
    /// Changes the text of a message and announces the conversation, which is the same otherwise.
    Edit(u64),
    Delete(u64),
    DeleteMany(u64),
    /// An anchor more for a conversation, or one less for everybody.
    Tie(u64),
    DeleteAnchor(u64),
    MoveAnchor(u64),
    /// Ours; the acknowledgement comes so many ms after the deed.
    OurCreate {
        told_all: bool,
        after: u64,
    },
    OurUpdate(u64, u64),
    OurDelete(u64, u64),
    /// Carried out, but we are not told.
    OurLost,
    OurAsset,
    Refresh,
    /// The connection is lost; so many attempts to connect again are refused.
    Lose(u64),
    /// Another server is there afterwards, as far as its routes go.
    Restart {
        single_fetch: bool,
    },
    /// The connection is there, and nobody at its other end.
    HalfOpen,
    /// The streams of anchors and assets end alone, and are opened again after so many ms.
    EndTieStreams(u64),
    /// The next so many requests fail.
    Fail(u64),
    /// The next so many requests take seconds.
    Slow(u64),
    /// The next so many frames are lost on the way.
    LoseFrames(u64),
    /// Something changed, and the frame that says so cannot be understood.
    Malformed(u64),
    Foreign,
    /// Says that one went that did not.
    FalseDelete(u64),
    /// Tells of one that never was.
    FalseUpsert(u64),
}

pub fn setting(seed: u64) -> Setting {
    let mut rng = Rng::new(seed);
    let often = |rng: &mut Rng| [0, 0, 2, 5][rng.below(4) as usize];
    let six_only = rng.once_in(4);
    Setting {
        seed: rng.next(),
        single_fetch: !six_only && !rng.once_in(5),
        ties: !six_only && !rng.once_in(5),
        tie_streams: !rng.once_in(5),
        first_frame: [FirstFrame::Whole, FirstFrame::Split, FirstFrame::Missing]
            [rng.below(3) as usize],
        clock_stopped: rng.once_in(4),
        // Rarely more than one change can list.
        conversations: match rng.below(400) {
            0 => 1200,
            other => [0, 1, 5, 30, 150][other as usize % 5],
        },
        latency: [1, 10, 100, 1000][rng.below(4) as usize],
        twice: often(&mut rng),
        late: often(&mut rng),
        gone_is_error: rng.once_in(4),
    }
}

pub fn script(seed: u64) -> Vec<Op> {
    let mut rng = Rng::new(!seed);
    let length = 5 + rng.below(60);
    (0..length).map(|_| op(&mut rng)).collect()
}

fn op(rng: &mut Rng) -> Op {
    // Often the same few, so that what happens to one meets what happened to it before.
    let which = match rng.once_in(2) {
        true => rng.below(3),
        false => rng.next() >> 8,
    };
    let after = [0, 1, 20, 300, 2000][rng.below(5) as usize];
    match rng.below(72) {
        0..15 => Op::Wait([1, 10, 60, 300, 1500, 30_000][rng.below(6) as usize]),
        15..20 => Op::Create(if rng.once_in(8) { 80 } else { 1 + rng.below(3) }),
        20..27 => Op::Update(which),
        27..30 => Op::Delete(which),
        30 => Op::DeleteMany(5 + rng.below(20)),
        31..33 => Op::MoveAnchor(which),
        33..35 => Op::OurCreate {
            told_all: rng.once_in(2),
            after,
        },
        35..37 => Op::OurUpdate(which, after),
        37..39 => Op::OurDelete(which, after),
        39 => Op::OurLost,
        40 => Op::OurAsset,
        41 => Op::Refresh,
        42..44 => Op::Lose(rng.below(4)),
        44 => Op::Restart {
            single_fetch: rng.once_in(2),
        },
        45 => Op::HalfOpen,
        46..49 => Op::Fail(1 + rng.below(6)),
        49..51 => Op::Slow(1 + rng.below(4)),
        51 => Op::LoseFrames(1 + rng.below(3)),
        52..54 => Op::Malformed(which),
        54 => Op::Foreign,
        55..58 => Op::FalseDelete(which),
        58..60 => Op::FalseUpsert(which),
        60..62 => Op::Tie(which),
        62..66 => Op::Refresh,
        66..70 => Op::Edit(which),
        70 => Op::EndTieStreams(250 + rng.below(60_000)),
        _ => Op::DeleteAnchor(which),
    }
}
