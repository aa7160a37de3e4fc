//! A limit on nesting, so that no source can overflow the stack.
//!
//! The parser grows its stack, but a tree is dropped by recursion. So the tokens are counted first:
//! the operators that stand open around a place are at least as many as the nodes above it. What
//! is refused here cannot be run by Python either: `CPython` stops at 200 brackets
//! (`MAXLEVEL`), 100 indentations (`MAXINDENT`) and some thousands of nested operators.

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::Mode;
use ruff_python_parser::lexer::lex;

const BRACKETS: usize = 200;
const INDENTATIONS: usize = 100;
const OPERATORS: usize = 3000;

/// What is nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooDeep {
    pub(super) what: &'static str,
    pub(super) limit: usize,
    /// The byte at which the line starts that goes too far.
    pub(super) offset: usize,
}

/// Refuses what is nested deeper than Python itself would have it.
pub(super) fn check(text: &str) -> Result<(), TooDeep> {
    let Err((what, limit)) = measure(text) else { return Ok(()) };
    // Tokens do not tell where they are; the first line whose end is too deep does.
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let fine = ends.partition_point(|end| measure(&text[..*end]).is_ok());
    let offset = fine.checked_sub(1).map_or(0, |before| ends[before]);
    Err(TooDeep { what, limit, offset })
}

/// One open bracket, or the statement itself: how many operators stand open in it.
#[derive(Clone, Copy, Default)]
struct Level {
    operators: usize,
    /// Commas end an operand, but not the body of a lambda whose parameters they separate.
    lambdas: usize,
}

fn measure(text: &str) -> Result<(), (&'static str, usize)> {
    let mut lexer = lex(text, Mode::Module);
    let mut outer: Vec<Level> = Vec::new();
    let (mut level, mut total, mut indentations) = (Level::default(), 0, 0_usize);
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return Ok(()),
            TokenKind::Indent => indentations += 1,
            TokenKind::Dedent => indentations = indentations.saturating_sub(1),
            kind @ (TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace) => {
                // What is called or subscribed goes down a level; a set or a field of an f-string
                // has nothing before it.
                level.operators += usize::from(kind != TokenKind::Lbrace);
                total += level.operators;
                outer.push(std::mem::take(&mut level));
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                level = outer.pop().unwrap_or_default();
                total -= level.operators;
            }
            TokenKind::Comma => level.operators = level.lambdas,
            TokenKind::Newline | TokenKind::Semi => {
                level = Level::default();
                outer.clear();
                total = 0;
            }
            TokenKind::Lambda => {
                level.lambdas += 1;
                level.operators += 1;
            }
            kind if deepens(kind) => level.operators += 1,
            _ => {}
        }
        if outer.len() > BRACKETS {
            return Err(("brackets", BRACKETS));
        }
        if indentations > INDENTATIONS {
            return Err(("indentations", INDENTATIONS));
        }
        if total + level.operators > OPERATORS {
            return Err(("operators", OPERATORS));
        }
    }
}

/// Whether a token can put another node above its neighbours.
fn deepens(kind: TokenKind) -> bool {
    !matches!(
        kind,
        TokenKind::Name
            | TokenKind::Int
            | TokenKind::Float
            | TokenKind::Complex
            | TokenKind::String
            | TokenKind::FStringStart
            | TokenKind::FStringMiddle
            | TokenKind::FStringEnd
            | TokenKind::TStringStart
            | TokenKind::TStringMiddle
            | TokenKind::TStringEnd
            | TokenKind::Comment
            | TokenKind::NonLogicalNewline
            | TokenKind::Ellipsis
            | TokenKind::True
            | TokenKind::False
            | TokenKind::None
            // Chains of these are one flat node.
            | TokenKind::And
            | TokenKind::Or
            | TokenKind::Equal
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> Option<(&'static str, usize)> {
        check(text).err().map(|deep| (deep.what, deep.offset))
    }

    #[test]
    fn deep_brackets_are_refused_on_their_line() {
        assert_eq!(what(&format!("x = {}1{}\n", "(".repeat(200), ")".repeat(200))), None);
        assert_eq!(what(&format!("y = 1\nx = {}", "[".repeat(201))), Some(("brackets", 6)));
    }

    #[test]
    fn chains_of_operators_are_refused() {
        for link in ["1 + ", "a.", "-", "not ", "lambda x, y: ", "a if b else ", "f(1)(2)."] {
            assert_eq!(what(&format!("x = {}1\n", link.repeat(3002))), Some(("operators", 0)));
        }
    }

    #[test]
    fn deep_blocks_are_refused() {
        let blocks: String = (0..102).map(|depth| " ".repeat(depth) + "if x:\n").collect();
        assert_eq!(what(&blocks).unwrap().0, "indentations");
    }

    #[test]
    fn what_is_only_long_passes() {
        for text in [
            format!("x = [{}]\n", "-1 + 2, ".repeat(5000)),
            format!("x = {{{}}}\n", "'a': f(1),\n".repeat(5000)),
            format!("x = {}1\n", "1 and ".repeat(5000)),
            format!("x = f'''{}'''\n", "{a.b}".repeat(5000)),
            format!("x = ({})\n", "f'{a}' ".repeat(5000)),
            "x = -1; ".repeat(5000),
            format!("{}\n", "x = ".repeat(5000) + "1"),
        ] {
            assert_eq!(what(&text), None, "{}", &text[..20]);
        }
    }
}
