//! A strategy with other values, proven to be that and nothing else.

use super::site::literal_end;
use super::walk::bindings;
use super::{Original, Site, Source, SourceError};
use crate::units::{Decimal, Number};
use std::collections::HashMap;

/// Why a rewritten strategy cannot be trusted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RewriteError {
    /// A site is not of this source.
    #[error("line {line}: `{text}` does not stand there; the site is of another source")]
    ForeignSite {
        /// The site's line.
        line: u32,
        /// The site's text.
        text: String,
    },
    /// Two values for one site.
    #[error("line {line}: `{text}` is given two values; two parameters have the same target")]
    SameSite {
        /// The site's line.
        line: u32,
        /// The site's text.
        text: String,
    },
    /// The rewritten text is no strategy.
    #[error("the rewritten source is invalid: {0}")]
    Invalid(#[from] SourceError),
    /// The rewritten text does not have the value.
    #[error("line {line}: `{text}` does not read back as {expected}")]
    WrongValue {
        /// The site's line.
        line: u32,
        /// What was written.
        text: String,
        /// What it should be.
        expected: Number,
    },
}

impl Source {
    /// The text with other values, as [`Original::rewrite`] makes it.
    pub fn rewrite(&self, values: &[(&Site, Decimal)]) -> Result<String, RewriteError> {
        self.original().rewrite(values)
    }
}

impl Original {
    /// The text with other values: parsed again as a whole, each site found again with exactly its
    /// value, and every byte outside of the sites as it was.
    pub fn rewrite(&self, values: &[(&Site, Decimal)]) -> Result<String, RewriteError> {
        let values = self.in_order(values)?;
        let (text, starts) = self.replaced(&values);
        let rewritten = Source::parse_text(text, self.version())?;
        check_values(&rewritten, &values, &starts)?;
        Ok(rewritten.into_original().into_text())
    }

    /// The same text without the proof, for who has seen that each literal reads as its value: no other byte is changed.
    pub fn replace(&self, values: &[(&Site, Decimal)]) -> Result<String, RewriteError> {
        let (text, _) = self.replaced(&self.in_order(values)?);
        debug_assert_eq!(self.rewrite(values).as_ref(), Ok(&text));
        Ok(text)
    }

    /// The values in the order of their sites, each of which stands in this text, and once.
    fn in_order<'s>(
        &self,
        values: &[(&'s Site, Decimal)],
    ) -> Result<Vec<(&'s Site, Decimal)>, RewriteError> {
        let mut values = values.to_vec();
        values.sort_by_key(|(site, _)| site.range().start);
        self.check_sites(&values)?;
        Ok(values)
    }

    /// Every site stands in this source, and each only once.
    fn check_sites(&self, values: &[(&Site, Decimal)]) -> Result<(), RewriteError> {
        for (site, _) in values {
            if self.text().get(site.range()) != Some(site.text()) {
                let text = site.text().to_owned();
                return Err(RewriteError::ForeignSite { line: site.line(), text });
            }
        }
        for pair in values.windows(2) {
            if let [(first, _), (second, _)] = pair
                && second.range().start < first.range().end
            {
                let text = second.text().to_owned();
                return Err(RewriteError::SameSite { line: second.line(), text });
            }
        }
        Ok(())
    }

    /// The text with the values in it, and where each site starts in it.
    fn replaced(&self, values: &[(&Site, Decimal)]) -> (String, Vec<usize>) {
        let mut text = String::with_capacity(self.text().len() + 16 * values.len());
        let (mut starts, mut rendered, mut end) = (Vec::new(), String::new(), 0);
        for (site, value) in values {
            text.push_str(&self.text()[end..site.range().start]);
            starts.push(text.len());
            site.render(*value, &mut rendered);
            text.push_str(&rendered);
            end = site.range().end;
        }
        text.push_str(&self.text()[end..]);
        (text, starts)
    }
}

/// At each of `starts` a binding has the value that was written there.
fn check_values(
    source: &Source,
    values: &[(&Site, Decimal)],
    starts: &[usize],
) -> Result<(), RewriteError> {
    // By their ends, for a literal's start moves where a sign goes or comes.
    let mut found = HashMap::new();
    bindings(source.module(), |binding| {
        if let Some(end) = literal_end(binding.value) {
            found.insert(end, binding.value);
        }
    });
    let mut rendered = String::new();
    for ((site, value), start) in values.iter().zip(starts) {
        site.render(*value, &mut rendered);
        let expected = site.read_back(*value);
        let again = found
            .get(&(start + rendered.len()))
            .and_then(|expr| Site::new(source.text(), expr))
            .filter(|again| *start <= again.range().start);
        if again.is_none_or(|again| !is_same(again.value(), expected)) {
            return Err(RewriteError::WrongValue { line: site.line(), text: rendered, expected });
        }
    }
    Ok(())
}

/// The same type and the same bits.
fn is_same(left: Number, right: Number) -> bool {
    match (left, right) {
        (Number::Int(left), Number::Int(right)) => left == right,
        (Number::Float(left), Number::Float(right)) => left.to_bits() == right.to_bits(),
        (Number::Int(_), Number::Float(_)) | (Number::Float(_), Number::Int(_)) => false,
    }
}
