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
        for at in 0..before.len() {
            if ends_line(text.as_bytes(), at) {
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

/// The lines of offsets that do not fall, in one walk: a text may have a hundred thousand of them.
pub(super) fn lines(text: &str, offsets: impl Iterator<Item = usize>) -> Vec<u32> {
    let (mut line, mut at) = (1_u32, 0);
    let lines = offsets.map(|offset| {
        let end = offset.min(text.len()).max(at);
        let ends = (at..end).filter(|at| ends_line(text.as_bytes(), *at)).count();
        at = end;
        line = line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
        line
    });
    lines.collect()
}

/// A `\r` before `\n` does not end the line, the `\n` does.
fn ends_line(text: &[u8], at: usize) -> bool {
    text[at] == b'\n' || (text[at] == b'\r' && text.get(at + 1) != Some(&b'\n'))
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
    fn many_lines_are_what_each_alone_is() {
        let text = "a\nb\r\nc\rd\n";
        let offsets = [0, 0, 1, 2, 4, 5, 5, 7, 9, 99];
        let alone: Vec<u32> = offsets.iter().map(|offset| at(text, *offset).0).collect();
        assert_eq!(lines(text, offsets.into_iter()), alone);
    }

    #[test]
    fn columns_count_characters_and_no_byte_order_mark() {
        assert_eq!(at("\u{feff}x", 3), (1, 1));
        assert_eq!(at("止损 = 1", "止损 = ".len()), (1, 6));
        assert_eq!(at("止损", 1), (1, 1));
    }
}
