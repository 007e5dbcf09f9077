//! Log-log plots side by side, as one SVG that is readable on light and on dark pages.

use std::fmt::Write;

/// One plot. Both axes begin and end at a power of ten.
pub struct Panel {
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
}

pub struct Axis {
    /// Below the x axis, above the y axis.
    pub label: &'static str,
    /// The lowest and the highest power of ten.
    pub decades: (i32, i32),
    /// What is written at a power of ten.
    pub tick: fn(i32) -> String,
}

pub struct Line {
    pub name: &'static str,
    pub style: Style,
    pub points: Vec<(f64, f64)>,
}

/// What a line is about.
#[derive(Clone, Copy)]
pub enum Style {
    /// What is measured.
    Measured,
    /// The same, less important.
    Worst,
    /// What it is compared with.
    Baseline,
    /// What was promised.
    Budget,
}

impl Style {
    fn class(self) -> &'static str {
        match self {
            Style::Measured => "measured",
            Style::Worst => "worst",
            Style::Baseline => "baseline",
            Style::Budget => "budget",
        }
    }
}

const PANEL: (f64, f64) = (400.0, 330.0);
/// Of the area with the lines within its panel.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 380.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 280.0;

const CSS: &str = "
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .heading { font-size: 14px; font-weight: 600 }
  .page { fill: #ffffff } .grid { stroke: #d1d9e0 } .frame { stroke: #818b98; fill: none }
  .line { fill: none; stroke-width: 2 } .dot { stroke: none }
  .measured { --ink: #0969da } .worst { --ink: #54aeff } .baseline { --ink: #6e7781 } .budget { --ink: #bc4c00 }
  .line { stroke: var(--ink) } .dot { fill: var(--ink) }
  .worst.line { stroke-dasharray: 2 3 } .baseline.line { stroke-dasharray: 7 4 } .budget.line { stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .page { fill: #0d1117 } .grid { stroke: #30363d } .frame { stroke: #7d8590 }
    .measured { --ink: #4493f8 } .worst { --ink: #79c0ff } .baseline { --ink: #9198a1 } .budget { --ink: #f0883e }
  }
";

pub fn svg(panels: &[Panel]) -> String {
    let (width, height) = (PANEL.0 * panels.len() as f64, PANEL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <style>{CSS}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    for (at, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({})\">", at as f64 * PANEL.0);
        draw(panel, &mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Writing to a string does not fail.
fn draw(panel: &Panel, svg: &mut String) {
    let x = |value: f64| panel.x.place(value, LEFT, RIGHT);
    let y = |value: f64| panel.y.place(value, BOTTOM, TOP);
    let middle = f64::midpoint(LEFT, RIGHT);
    let _ = writeln!(
        svg,
        "<text class=\"heading\" x=\"{LEFT}\" y=\"28\">{}</text>",
        panel.y.label
    );
    for decade in panel.x.decades.0..=panel.x.decades.1 {
        let (at, below, tick) = (
            x(10_f64.powi(decade)),
            BOTTOM + 18.0,
            (panel.x.tick)(decade),
        );
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>\
             <text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{tick}</text>"
        );
    }
    for decade in panel.y.decades.0..=panel.y.decades.1 {
        let (at, tick) = (y(10_f64.powi(decade)), (panel.y.tick)(decade));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<path class=\"frame\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>"
    );
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        BOTTOM + 38.0,
        panel.x.label
    );
    for (row, line) in panel.lines.iter().enumerate() {
        let class = line.style.class();
        let points: Vec<_> = line
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline class=\"line {class}\" points=\"{}\"/>",
            points.join(" ")
        );
        if !matches!(line.style, Style::Budget) {
            for (across, down) in points.iter().filter_map(|point| point.split_once(',')) {
                let _ = writeln!(
                    svg,
                    "<circle class=\"dot {class}\" cx=\"{across}\" cy=\"{down}\" r=\"3\"/>"
                );
            }
        }
        let (from, at) = (LEFT + 12.0, TOP + 18.0 * (row as f64 + 1.0));
        let _ = writeln!(
            svg,
            "<path class=\"line {class}\" d=\"M{from} {}h26\"/><text x=\"{}\" y=\"{at}\">{}</text>",
            at - 4.0,
            from + 34.0,
            line.name
        );
    }
}

impl Axis {
    /// Where a value is between two ends.
    fn place(&self, value: f64, low: f64, high: f64) -> f64 {
        let (first, last) = (f64::from(self.decades.0), f64::from(self.decades.1));
        low + (value.log10() - first) / (last - first) * (high - low)
    }
}
