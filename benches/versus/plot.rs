//! Latency and speed by the number of streams, as an SVG: groups of bars, on logarithmic scales.

use std::fmt::Write as _;

use crate::course::{WIDTHS, streams};
use crate::figures::{Figures, Way};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 240.0;
const MARGIN: f64 = 60.0;
const BAR: f64 = 22.0;

/// One picture of bars.
struct Panel {
    title: &'static str,
    group: &'static str,
    ending: &'static str,
    unit: &'static str,
    /// Powers of ten at the bottom and at the top.
    scale: (i32, i32),
}

const PANELS: [Panel; 2] = [
    Panel {
        title: "server to host, p99 at 20 ms a token, in ms (less is better)",
        group: "From the server to the host's code",
        ending: ", 20 ms a token, p99",
        unit: "ms",
        scale: (-1, 3),
    },
    Panel {
        title: "burst, tokens a second (more is better)",
        group: "Tokens a second",
        ending: ", burst",
        unit: "tokens/s",
        scale: (3, 6),
    },
];

pub(crate) fn svg(figures: &Figures) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, figures);
    out
}

fn write(out: &mut String, figures: &Figures) -> std::fmt::Result {
    let width = (WIDTH + MARGIN) * 2.0 + MARGIN;
    let height = HEIGHT + 2.0 * MARGIN;
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>"#
    )?;
    for (number, panel) in PANELS.iter().enumerate() {
        let left = MARGIN + number as f64 * (WIDTH + MARGIN);
        write_panel(out, panel, left, figures)?;
    }
    for (number, way) in Way::ALL.into_iter().enumerate() {
        let x = MARGIN + number as f64 * 110.0;
        let y = HEIGHT + 1.7 * MARGIN;
        writeln!(
            out,
            r#"<rect x="{x}" y="{}" width="12" height="12" fill="{}"/><text x="{}" y="{y}">{}</text>"#,
            y - 11.0,
            colour(way),
            x + 18.0,
            way.title()
        )?;
    }
    writeln!(out, "</svg>")
}

fn write_panel(out: &mut String, panel: &Panel, left: f64, figures: &Figures) -> std::fmt::Result {
    let (low, high) = panel.scale;
    let bottom = MARGIN + HEIGHT;
    let height_of = |value: f64| {
        let share = (value.log10() - f64::from(low)) / f64::from(high - low);
        share.clamp(0.005, 1.0) * HEIGHT
    };
    writeln!(
        out,
        r#"<text x="{left}" y="{}">{}</text>"#,
        MARGIN - 20.0,
        panel.title
    )?;
    for power in low..=high {
        let value = 10_f64.powi(power);
        let y = bottom - (f64::from(power - low) / f64::from(high - low)) * HEIGHT;
        writeln!(
            out,
            r##"<line x1="{left}" x2="{}" y1="{y}" y2="{y}" stroke="#ddd"/><text x="{}" y="{}" text-anchor="end" fill="#666">{value}</text>"##,
            left + WIDTH - 20.0,
            left - 6.0,
            y + 4.0
        )?;
    }
    for (place, width) in WIDTHS.into_iter().enumerate() {
        let start = left + 10.0 + place as f64 * 130.0;
        let name = streams(width);
        writeln!(
            out,
            r#"<text x="{start}" y="{}">{name}</text>"#,
            bottom + 18.0
        )?;
        for (number, way) in Way::ALL.into_iter().enumerate() {
            let what = format!("{name}{}", panel.ending);
            let Some(value) = figures.median(panel.group, &what, way) else {
                continue;
            };
            let height = height_of(value);
            writeln!(
                out,
                r#"<rect x="{}" y="{}" width="{BAR}" height="{height:.1}" fill="{}"><title>{}: {value:.3} {}</title></rect>"#,
                start + number as f64 * (BAR + 2.0),
                bottom - height,
                colour(way),
                way.title(),
                panel.unit
            )?;
        }
    }
    Ok(())
}

fn colour(way: Way) -> &'static str {
    match way {
        Way::Ours => "#d1602a",
        Way::Tunnel => "#3b6ea5",
        Way::Ssh2 => "#6aa84f",
        Way::Direct => "#bbbbbb",
    }
}
