//! From a selector to the one site that it means.

use super::container::entries;
use super::path::{Part, Paths, without_container};
use super::position::{self, Position};
use super::site::excerpt;
use super::walk::{Binding, bindings};
use super::{Selector, Site, Source, Unusable};
use ruff_python_ast::Expr;
use ruff_text_size::Ranged;
use std::num::NonZeroUsize;

/// Every binding of a source, found by one walk for any number of selectors.
pub struct Bindings<'a> {
    source: &'a Source,
    all: Vec<Binding<'a>>,
}

impl Source {
    /// All of its bindings.
    pub fn bindings(&self) -> Bindings<'_> {
        let mut all = Vec::new();
        bindings(self.module(), |binding| all.push(binding));
        Bindings { source: self, all }
    }

    /// The one literal that `selector` means, as [`Bindings::site`] finds it.
    pub fn site(
        &self,
        selector: &Selector,
        occurrence: Option<NonZeroUsize>,
    ) -> Result<Site, Unusable> {
        self.bindings().site(selector, occurrence)
    }
}

impl<'a> Bindings<'a> {
    /// The literal that `selector` means; of several bindings the one that `occurrence` counts to.
    ///
    /// Every binding counts, also one that is no number, so that a name which is set in two places
    /// is never mutated in the wrong one. Only what passes the name on, as in
    /// `self.stop_loss = stop_loss` or `run(stop_loss=stop_loss)`, counts for nothing beside a
    /// binding that has a value of its own.
    pub fn site(
        &self,
        selector: &Selector,
        occurrence: Option<NonZeroUsize>,
    ) -> Result<Site, Unusable> {
        let values = self.values(selector);
        let lines = || {
            let offsets = values.iter().map(|value| value.start().to_usize());
            position::lines(self.source.text(), offsets)
        };
        let value = match (values.as_slice(), occurrence) {
            ([], _) => return Err(Unusable::NotFound),
            ([value], None) => value,
            (_, None) => return Err(Unusable::Ambiguous { lines: lines() }),
            (values, Some(occurrence)) => values.get(occurrence.get() - 1).ok_or_else(|| {
                Unusable::NoSuchOccurrence { occurrence: occurrence.get(), lines: lines() }
            })?,
        };
        let text = self.source.text();
        Site::new(text, value).ok_or_else(|| Unusable::NotNumericLiteral {
            line: Position::of(text, value.start().to_usize()).line,
            text: excerpt(text.get(value.range().to_std_range()).unwrap_or_default()),
        })
    }

    /// What the bindings that `selector` matches are given, by their order in the source.
    fn values(&self, selector: &Selector) -> Vec<&'a Expr> {
        let mut found = Found::default();
        self.all.iter().for_each(|binding| collect(selector, binding, &mut found));
        // `order_types = {"stoploss": "market"}` beside `stoploss = -0.1`: an attribute of the class
        // goes before an entry of another attribute, which is reached by its container's name.
        let attribute = selector.is_attribute() && !found.direct.is_empty();
        let mut values = found.direct;
        if !attribute {
            values.extend(found.entries);
        }
        values.sort_by_key(|value| (value.start(), value.end()));
        values.dedup_by_key(|value| value.range());
        let word = selector.last_word();
        let passes_on = |value: &&Expr| word.is_some() && word == last_name(value);
        if !values.iter().all(passes_on) {
            values.retain(|value| !passes_on(value));
        }
        values
    }
}

/// Values by how they were found.
#[derive(Default)]
struct Found<'a> {
    /// Of a binding itself.
    direct: Vec<&'a Expr>,
    /// Of an entry in what is bound.
    entries: Vec<&'a Expr>,
}

/// Adds the binding's value, and those of the entries in it, where `selector` matches.
fn collect<'a>(selector: &Selector, binding: &Binding<'a>, found: &mut Found<'a>) {
    if selector.matches_any(&binding.paths) {
        found.direct.push(binding.value);
    }
    if selector.len() == 1 {
        return;
    }
    let mut open = vec![(binding.paths.clone(), binding.value, 1)];
    while let Some((paths, value, depth)) = open.pop() {
        // An entry ends a selector that has at least as many steps and a name before them.
        if depth >= selector.len() {
            continue;
        }
        for (part, value) in entries(value) {
            let mut inner: Paths<'a> = paths.iter().map(|path| joined(path, part)).collect();
            if depth == 1 && binding.is_attribute {
                inner.extend(
                    binding.paths.first().map(|path| without_container(&joined(path, part))),
                );
            }
            if selector.matches_any(&inner) {
                found.entries.push(value);
            }
            open.push((inner, value, depth + 1));
        }
    }
}

fn joined<'a>(path: &[Part<'a>], part: Part<'a>) -> Vec<Part<'a>> {
    path.iter().copied().chain([part]).collect()
}

/// The name that an expression ends with: `x`, `self.x`.
fn last_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name) => Some(name.id.as_str()),
        Expr::Attribute(attribute) => Some(attribute.attr.as_str()),
        _ => None,
    }
}
