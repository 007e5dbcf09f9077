//! A thousand to a million conversations: time to load them and memory, beside receiving the same body and throwing it
//! away. Draws `docs/images/performance.svg`. `cargo bench --bench scale` needs 3 GB of memory.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod support;

use support::loading::{Receiver, load};
use support::plot::{Axis, Line, Panel, Style, svg};
use support::service::Service;
use support::{Timings, report};

/// How many conversations, and how often they are loaded.
const SIZES: [(usize, usize); 4] = [(1_000, 15), (10_000, 15), (100_000, 7), (1_000_000, 3)];
const PLOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images/performance.svg");

/// The budget of memory: so much when empty, and so much for each conversation.
const EMPTY: f64 = 6.0 * 1024.0 * 1024.0;
const EACH: f64 = 200.0;

fn main() {
    report::columns(
        "Loading, median",
        &["list", "GET to live", "thrown away", "resident", "peak"],
    );
    let receiver = Receiver::new();
    let (mut live, mut received) = (Vec::new(), Vec::new());
    let (mut resident, mut peak, mut length) = (Vec::new(), Vec::new(), Vec::new());
    for (conversations, rounds) in SIZES {
        let service = Service::start(conversations);
        let (mut took, mut least, mut memory) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            least.push(receiver.receive(&service));
            let loaded = load(&service);
            took.push(loaded.took);
            memory.push((loaded.loaded, loaded.peak));
        }
        memory.sort_unstable();
        let (took, least) = (Timings::new(took).median(), Timings::new(least).median());
        let bytes = |kilobytes| (kilobytes * 1024) as f64;
        let loaded = bytes(memory[rounds / 2].0);
        let most = bytes(memory.iter().map(|(_, peak)| *peak).max().unwrap());
        let list = service.list_length() as f64;
        let megabytes = |bytes: f64| format!("{:.1} MB", bytes / 1e6);
        report::columns(
            &format!("{conversations} conversations"),
            &[
                &megabytes(list),
                &report::millis(took),
                &report::millis(least),
                &megabytes(loaded),
                &megabytes(most),
            ],
        );
        let x = conversations as f64;
        live.push((x, took.as_secs_f64()));
        received.push((x, least.as_secs_f64()));
        resident.push((x, loaded));
        peak.push((x, most));
        length.push((x, list));
    }
    let budget = SIZES.map(|(n, _)| (n as f64, EMPTY + EACH * n as f64));
    let time = Panel {
        x: conversations(),
        y: Axis {
            label: "Time to load",
            decades: (-3, 2),
            tick: seconds,
        },
        lines: vec![
            line("from GET to live", Style::Measured, live),
            line("received and thrown away", Style::Baseline, received),
        ],
    };
    let memory = Panel {
        x: conversations(),
        y: Axis {
            label: "Memory",
            decades: (6, 10),
            tick: size,
        },
        lines: vec![
            line("the list as sent", Style::Baseline, length),
            line("most while loading", Style::Worst, peak),
            line("resident afterwards", Style::Measured, resident),
            line("budget", Style::Budget, budget.to_vec()),
        ],
    };
    std::fs::write(PLOT, svg(&[time, memory])).unwrap();
    println!("\nDrew {PLOT}");
}

fn line(name: &'static str, style: Style, points: Vec<(f64, f64)>) -> Line {
    Line {
        name,
        style,
        points,
    }
}

fn conversations() -> Axis {
    Axis {
        label: "conversations of about 2 kB",
        decades: (3, 6),
        tick: |decade| match decade {
            3..=5 => format!("{}k", 10_i32.pow(decade as u32 - 3)),
            _ => "1M".to_owned(),
        },
    }
}

fn seconds(decade: i32) -> String {
    match decade {
        ..0 => format!("{} ms", 10_i32.pow((decade + 3) as u32)),
        _ => format!("{} s", 10_i32.pow(decade as u32)),
    }
}

fn size(decade: i32) -> String {
    match decade {
        ..9 => format!("{} MB", 10_i32.pow(decade as u32 - 6)),
        _ => format!("{} GB", 10_i32.pow(decade as u32 - 9)),
    }
}
