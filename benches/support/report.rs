//! The table that a bench prints.

use std::fmt::Display;
use std::time::Duration;

pub fn title(text: &str) {
    println!("\n{text}");
    row("", "budget", "measured", "baseline", "");
}

pub fn row(what: &str, budget: &str, measured: &str, baseline: &str, verdict: impl Display) {
    println!("{what:<52} {budget:>16} {measured:>12} {baseline:>12}  {verdict}");
}

/// A quantity that may be `budget` times its baseline.
pub fn ratio(what: &str, budget: f64, measured: Duration, baseline: Duration) {
    let ratio = measured.as_secs_f64() / baseline.as_secs_f64();
    row(
        what,
        &format!("<= {budget} x"),
        &millis(measured),
        &millis(baseline),
        format_args!("{ratio:.2} x, {}", verdict(ratio <= budget)),
    );
}

/// A quantity with a limit of its own; the baseline is for comparison.
pub fn limit(what: &str, budget: Duration, measured: Duration, baseline: Option<Duration>) {
    row(
        what,
        &format!("<= {}", millis(budget)),
        &millis(measured),
        &baseline.map_or_else(String::new, millis),
        verdict(measured <= budget),
    );
}

/// The same for other units.
pub fn amount(what: &str, budget: f64, unit: &str, measured: f64, baseline: Option<f64>) {
    row(
        what,
        &format!("<= {budget} {unit}"),
        &format!("{measured:.1} {unit}"),
        &baseline.map_or_else(String::new, |baseline| format!("{baseline:.1} {unit}")),
        verdict(measured <= budget),
    );
}

/// A quantity without a budget.
pub fn plain(what: &str, measured: &str, baseline: &str, remark: impl Display) {
    row(what, "", measured, baseline, remark);
}

pub fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn verdict(within: bool) -> &'static str {
    if within { "within" } else { "OVER" }
}
