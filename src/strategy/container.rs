//! What counts as a container of parameters: dict displays, `dict(…)`, tables of pairs.

use super::binding::pairs;
use super::path::Part;
use ruff_python_ast::{DictItem, Expr, ExprCall};

/// The entries of a value, each with the step that leads to it.
pub(super) fn entries(value: &Expr) -> Vec<(Part<'_>, &Expr)> {
    match value {
        Expr::Dict(dict) => dict.items.iter().filter_map(keyed).collect(),
        Expr::Tuple(tuple) => pairs(&tuple.elts).collect(),
        Expr::List(list) => pairs(&list.elts).collect(),
        Expr::Call(call) if makes_dict(call) => {
            let positional = call.arguments.args.iter().filter(|argument| !argument.is_call_expr());
            let mut found: Vec<_> = positional.flat_map(entries).collect();
            found.extend(call.arguments.keywords.iter().filter_map(|keyword| {
                Some((Part::Entry(keyword.arg.as_ref()?.as_str()), &keyword.value))
            }));
            found
        }
        _ => Vec::new(),
    }
}

/// A word under a key, as in `order_types = {"stoploss": "market"}`, is nobody's number.
pub(super) fn keyed(item: &DictItem) -> Option<(Part<'_>, &Expr)> {
    let part = Part::entry(item.key.as_ref()?)?;
    (!item.value.is_string_literal_expr()).then_some((part, &item.value))
}

fn makes_dict(call: &ExprCall) -> bool {
    let name = match &*call.func {
        Expr::Name(name) => name.id.as_str(),
        Expr::Attribute(attribute) => attribute.attr.as_str(),
        _ => return false,
    };
    matches!(name, "dict" | "OrderedDict" | "SimpleNamespace")
}
