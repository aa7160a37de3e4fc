//! Every binding of a module, found without recursion.

use super::binding::{lone_pair, pairs, unpack};
use super::container::keyed;
use super::path::{Classes, Part, Paths, of_target};
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, TraversalSignal};
use ruff_python_ast::{AnyNodeRef, Expr, ModModule};
use std::rc::Rc;

/// A name or key, and the expression that it is given.
pub(super) struct Binding<'a> {
    /// The ways to it.
    pub(super) paths: Paths<'a>,
    /// It is an attribute of a class, whose entries count as the class's.
    pub(super) is_attribute: bool,
    /// What it is bound to.
    pub(super) value: &'a Expr,
}

/// A node that is still to be looked into, and the classes around it.
struct Place<'a> {
    node: AnyNodeRef<'a>,
    classes: Classes<'a>,
    /// Directly in the body of the innermost class, not in a function of it.
    in_body: bool,
}

/// Gives every binding in `module` to `found`, in no particular order.
pub(super) fn bindings<'a>(module: &'a ModModule, mut found: impl FnMut(Binding<'a>)) {
    let classes = Classes::default();
    let mut open = vec![Place { node: AnyNodeRef::ModModule(module), classes, in_body: false }];
    let mut children = Children(Vec::new());
    while let Some(place) = open.pop() {
        bindings_at(&place, &mut found);
        place.node.visit_source_order(&mut children);
        let inner = inner_classes(&place);
        for node in children.0.drain(..) {
            let (classes, in_body) = match (place.node, &inner) {
                (AnyNodeRef::StmtClassDef(_), Some(inner)) if node.is_statement() => (inner, true),
                (AnyNodeRef::StmtFunctionDef(_), _) => (&place.classes, false),
                _ => (&place.classes, place.in_body),
            };
            open.push(Place { node, classes: Rc::clone(classes), in_body });
        }
    }
}

/// The classes around the body of a class.
fn inner_classes<'a>(place: &Place<'a>) -> Option<Classes<'a>> {
    let AnyNodeRef::StmtClassDef(class) = place.node else { return None };
    // A class within a method is not one of the class's own.
    let outer = if place.in_body { place.classes.as_slice() } else { &[] };
    Some(Rc::new(outer.iter().copied().chain([class.name.as_str()]).collect()))
}

/// What the node itself binds.
fn bindings_at<'a>(place: &Place<'a>, found: &mut impl FnMut(Binding<'a>)) {
    let mut named = |part: Part<'a>, value: &'a Expr| {
        found(Binding { paths: vec![vec![part]], is_attribute: false, value });
    };
    match place.node {
        AnyNodeRef::StmtAssign(assign) => {
            for target in &assign.targets {
                assigned(place, target, &assign.value, found);
            }
        }
        AnyNodeRef::StmtAnnAssign(assign) => {
            if let Some(value) = &assign.value {
                assigned(place, &assign.target, value, found);
            }
        }
        AnyNodeRef::ExprNamed(named) => assigned(place, &named.target, &named.value, found),
        AnyNodeRef::ParameterWithDefault(parameter) => {
            if let Some(value) = &parameter.default {
                named(Part::Name(parameter.parameter.name.as_str()), value);
            }
        }
        AnyNodeRef::Keyword(keyword) => {
            if let Some(name) = &keyword.arg {
                named(Part::Name(name.as_str()), &keyword.value);
            }
        }
        AnyNodeRef::ExprDict(dict) => {
            dict.items.iter().filter_map(keyed).for_each(|(part, value)| named(part, value));
        }
        AnyNodeRef::ExprList(list) => {
            pairs(&list.elts).for_each(|(part, value)| named(part, value));
        }
        AnyNodeRef::ExprTuple(tuple) => {
            let inner = pairs(&tuple.elts).chain(lone_pair(tuple));
            inner.for_each(|(part, value)| named(part, value));
        }
        _ => {}
    }
}

fn assigned<'a>(
    place: &Place<'a>,
    target: &'a Expr,
    value: &'a Expr,
    found: &mut impl FnMut(Binding<'a>),
) {
    for (target, value) in unpack(target, value) {
        let paths = of_target(target, &place.classes, place.in_body);
        let is_attribute = match target {
            Expr::Name(_) => place.in_body,
            _ => paths.len() > 1,
        };
        found(Binding { paths, is_attribute, value });
    }
}

/// Takes down the children of one node and goes no deeper.
struct Children<'a>(Vec<AnyNodeRef<'a>>);

impl<'a> SourceOrderVisitor<'a> for Children<'a> {
    fn enter_node(&mut self, node: AnyNodeRef<'a>) -> TraversalSignal {
        // Nothing is bound in a string, an f-string or a pattern, nor below a name or a number.
        let is_barren = node.is_pattern()
            || matches!(
                node,
                AnyNodeRef::Identifier(_)
                    | AnyNodeRef::ExprName(_)
                    | AnyNodeRef::ExprNumberLiteral(_)
                    | AnyNodeRef::ExprStringLiteral(_)
                    | AnyNodeRef::ExprFString(_)
                    | AnyNodeRef::ExprTString(_)
            );
        if !is_barren {
            self.0.push(node);
        }
        TraversalSignal::Skip
    }
}
