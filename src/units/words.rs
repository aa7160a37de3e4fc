//! Numbers and durations as people read them.

/// Whether a terminal or a page would do something else with it than show it: control characters, and those that turn
/// the direction of what follows.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with a replacement character for each that cannot be shown.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { '\u{fffd}' } else { c }).collect()
}

/// A number to six digits.
pub fn plain(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    if !(-5.0..9.0).contains(&digits) {
        return format!("{value:.5e}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies in 0..=10"
    )]
    let decimals = (5.0 - digits).clamp(0.0, 10.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A duration, given in seconds, in the unit that suits it: `254.26 ms`.
pub fn seconds(seconds: f64) -> String {
    match seconds.abs() {
        size if size < 1e-6 => format!("{:.0} ns", seconds * 1e9),
        size if size < 1e-3 => format!("{:.2} µs", seconds * 1e6),
        size if size < 1.0 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}
