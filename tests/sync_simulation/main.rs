//! List-and-watch against a model of Pieces OS, with everything that goes wrong, in no real time.
//!
//! `SIMULATION_SEEDS=1000000 cargo test --release --test sync_simulation` runs a million seeds (from
//! `SIMULATION_FROM`); `SIMULATION_SEED=n` runs one. A seed that fails is printed as the shortest script that
//! still does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod rng;
mod script;
mod server;
mod world;

use script::{FirstFrame, Op, Setting};

/// Seeds by default: some ten seconds even without optimisation.
const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn the_index_equals_the_server_after_any_faults() {
    if let Some(seed) = number("SIMULATION_SEED") {
        return check_seed(seed);
    }
    let first = number("SIMULATION_FROM").unwrap_or(0);
    let end = first + number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                (first + thread..end)
                    .step_by(threads as usize)
                    .for_each(check_seed)
            });
        }
    });
}

fn check_seed(seed: u64) {
    let (setting, script) = (script::setting(seed), script::script(seed));
    if let Err(error) = world::run(&setting, &script) {
        let run = |script: &[Op]| world::run(&setting, script);
        let (script, error) = shrink(script, error, run);
        panic!("SIMULATION_SEED={seed}: {error}\n{setting:?}\n{script:?}");
    }
}

/// Leaves out operations for as long as the rest still fails.
fn shrink<T: Clone>(
    mut script: Vec<T>,
    mut error: String,
    run: impl Fn(&[T]) -> Result<(), String>,
) -> (Vec<T>, String) {
    let mut size = script.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < script.len() {
            let mut rest = script.clone();
            rest.drain(at..(at + size).min(script.len()));
            match run(&rest) {
                Err(other) => {
                    (script, error, shorter) = (rest, other, true);
                }
                Ok(()) => at += size,
            }
        }
        match (size, shorter) {
            (1, false) => return (script, error),
            (1, true) => {}
            _ => size = size.div_ceil(2),
        }
    }
}

#[test]
fn a_failing_script_is_shrunk() {
    let run = |script: &[u64]| match script.contains(&7) && script.contains(&71) {
        true => Err(format!("{} left", script.len())),
        false => Ok(()),
    };
    let (script, error) = shrink((0..100).collect(), "100 left".into(), run);
    assert_eq!((script, error), (vec![7, 71], "2 left".into()));
}

/// What seeds found once, as they were shrunk.
fn check_script(setting: Setting, script: &[Op]) {
    assert_eq!(
        world::run(&setting, script),
        Ok(()),
        "{setting:?}\n{script:?}"
    );
}

#[test]
fn a_service_that_lost_its_single_fetch_while_it_was_away_does_not_undo_our_create() {
    let setting = Setting {
        seed: 71_375_478_170_266_376,
        single_fetch: true,
        ties: true,
        tie_streams: true,
        first_frame: FirstFrame::Whole,
        clock_stopped: true,
        conversations: 1,
        latency: 1000,
        twice: 5,
        late: 5,
        gone_is_error: false,
    };
    let create = |after| Op::OurCreate {
        told_all: false,
        after,
    };
    check_script(
        setting,
        &[
            Op::Update(4_151_999_758_732_157),
            Op::Wait(30_000),
            create(1),
            Op::Delete(0),
            Op::Foreign,
            Op::Restart {
                single_fetch: false,
            },
            create(2000),
            Op::OurUpdate(1, 300),
        ],
    );
}

#[test]
fn an_anchor_created_during_a_list_is_looked_up() {
    let setting = Setting {
        seed: 4_519_589_228_118_121_241,
        single_fetch: true,
        ties: false,
        tie_streams: false,
        first_frame: FirstFrame::Split,
        clock_stopped: false,
        conversations: 0,
        latency: 10,
        twice: 0,
        late: 5,
        gone_is_error: false,
    };
    let create = |after| Op::OurCreate {
        told_all: true,
        after,
    };
    check_script(
        setting,
        &[
            create(300),
            Op::Wait(10),
            Op::Wait(10),
            Op::Tie(52_904_871_172_484_148),
            Op::OurUpdate(33_506_885_287_141_294, 2000),
            Op::Create(3),
            Op::Update(69_524_507_433_823_744),
            Op::Wait(1),
            Op::Create(3),
            create(0),
            Op::Update(12_058_746_244_827_663),
            Op::Refresh,
            Op::Wait(300),
            Op::OurLost,
            Op::DeleteMany(15),
            Op::Create(1),
            create(2000),
            Op::Update(52_050_921_147_636_253),
            Op::Slow(2),
            Op::Wait(300),
            Op::Tie(2),
        ],
    );
}

#[test]
fn a_404_without_a_stream_does_not_undo_our_write() {
    let setting = Setting {
        seed: 14_984_671_036_277_901_091,
        single_fetch: true,
        ties: true,
        tie_streams: true,
        first_frame: FirstFrame::Split,
        clock_stopped: false,
        conversations: 0,
        latency: 1,
        twice: 5,
        late: 0,
        gone_is_error: false,
    };
    let create = |after| Op::OurCreate {
        told_all: false,
        after,
    };
    check_script(
        setting,
        &[
            Op::Lose(2),
            create(300),
            create(2000),
            Op::Wait(1500),
            Op::Restart {
                single_fetch: false,
            },
            Op::OurUpdate(2, 1),
        ],
    );
}
