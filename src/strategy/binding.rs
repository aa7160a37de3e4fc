//! What a tuple of targets takes from a value, and which tuples are pairs.

use super::path::Part;
use ruff_python_ast::{Expr, ExprTuple};

/// Each single target with the value that it is bound to; with the whole value where no one
/// expression is its own.
pub(super) fn unpack<'a>(target: &'a Expr, value: &'a Expr) -> Vec<(&'a Expr, &'a Expr)> {
    let mut bound = Vec::new();
    // Brackets are limited, so this stack is short; an explicit one still needs no thought.
    let mut open = vec![(target, value)];
    while let Some((target, value)) = open.pop() {
        match (elements(target), elements(value)) {
            (Some(targets), Some(values)) => align(targets, value, values, &mut open),
            (Some(targets), None) => open.extend(targets.iter().map(|target| (target, value))),
            (None, _) => match target {
                Expr::Starred(starred) => open.push((&starred.value, value)),
                _ => bound.push((target, value)),
            },
        }
    }
    bound
}

fn elements(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Tuple(tuple) => Some(&tuple.elts),
        Expr::List(list) => Some(&list.elts),
        _ => None,
    }
}

/// Pairs targets with values from both ends up to a star on either side; the rest gets `whole`.
fn align<'a>(
    targets: &'a [Expr],
    whole: &'a Expr,
    values: &'a [Expr],
    open: &mut Vec<(&'a Expr, &'a Expr)>,
) {
    let star = |exprs: &[Expr]| exprs.iter().position(Expr::is_starred_expr);
    let star_from_end = |exprs: &[Expr]| exprs.iter().rev().position(Expr::is_starred_expr);
    let fits = match (star(targets), star(values)) {
        (None, None) => targets.len() == values.len(),
        (Some(_), None) => targets.len() - 1 <= values.len(),
        (_, Some(_)) => true,
    };
    if !fits {
        open.extend(targets.iter().map(|target| (target, whole)));
        return;
    }
    let front = star(targets).unwrap_or(targets.len()).min(star(values).unwrap_or(values.len()));
    let back = star_from_end(targets)
        .unwrap_or(targets.len() - front)
        .min(star_from_end(values).unwrap_or(values.len() - front));
    let (target_rest, value_rest) = (targets.len() - back, values.len() - back);
    open.extend(targets[..front].iter().zip(&values[..front]));
    open.extend(targets[front..target_rest].iter().map(|target| match target {
        Expr::Starred(starred) => (&*starred.value, whole),
        _ => (target, whole),
    }));
    open.extend(targets[target_rest..].iter().zip(&values[value_rest..]));
}

/// `('stop_loss', 0.02)`: the name and the value.
fn pair(tuple: &ExprTuple) -> Option<(Part<'_>, &Expr)> {
    match tuple.elts.as_slice() {
        // Without parentheses it is what a function returns or an index, not a parameter.
        [Expr::StringLiteral(name), value] if tuple.parenthesized => {
            Some((Part::Entry(name.value.to_str()), value))
        }
        _ => None,
    }
}

/// A tuple that is a pair wherever it stands: its value is a number, signed or not.
pub(super) fn lone_pair(tuple: &ExprTuple) -> Option<(Part<'_>, &Expr)> {
    pair(tuple).filter(|(_, value)| match value {
        Expr::NumberLiteral(_) => true,
        Expr::UnaryOp(unary) => unary.operand.is_number_literal_expr(),
        _ => false,
    })
}

/// The pairs in a table of parameters, whatever their values; but two strings are two names.
pub(super) fn pairs(elements: &[Expr]) -> impl Iterator<Item = (Part<'_>, &Expr)> {
    elements
        .iter()
        .filter_map(|element| pair(element.as_tuple_expr()?))
        .filter(|(_, value)| !value.is_string_literal_expr())
}
