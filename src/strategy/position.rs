//! Where a byte stands in a text, as editors count.

/// A line and a column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

const BOM: char = '\u{feff}';

impl Position {
    /// The place of the byte at `offset`; lines end as in Python: `\n`, `\r\n` or `\r`.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let (mut line, mut start) = (1_u32, 0);
        for (at, byte) in before.iter().enumerate() {
            // A `\r` before `\n` does not end the line, the `\n` does.
            if *byte == b'\n' || (*byte == b'\r' && text.as_bytes().get(at + 1) != Some(&b'\n')) {
                line = line.saturating_add(1);
                start = at + 1;
            }
        }
        // An offset within a character counts as the character's.
        let end = text.floor_char_boundary(offset);
        let ahead = text.get(start..end).unwrap_or("");
        let columns = ahead.trim_start_matches(BOM).chars().count();
        Self { line, column: u32::try_from(columns).unwrap_or(u32::MAX).saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, offset: usize) -> (u32, u32) {
        let position = Position::of(text, offset);
        (position.line, position.column)
    }

    #[test]
    fn lines_end_as_in_python() {
        let text = "a\nb\r\nc\rd";
        assert_eq!(at(text, 0), (1, 1));
        assert_eq!(at(text, 2), (2, 1));
        assert_eq!(at(text, 4), (2, 3));
        assert_eq!(at(text, 5), (3, 1));
        assert_eq!(at(text, 7), (4, 1));
        assert_eq!(at(text, 99), (4, 2));
    }

    #[test]
    fn columns_count_characters_and_no_byte_order_mark() {
        assert_eq!(at("\u{feff}x", 3), (1, 1));
        assert_eq!(at("止损 = 1", "止损 = ".len()), (1, 6));
        assert_eq!(at("止损", 1), (1, 1));
    }
}
