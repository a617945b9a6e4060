//! What of the API is open to whom: the ground of every description of it. A rule is not asked of records here, but
//! only whether the caller's account alone rules every record out.

use std::sync::Arc;

use model::filter::{Filter, Term, Test, Trust};
use model::{Collection, Request};
use query::{Expr, Operator};

use crate::rules::Context;

/// The operations of one collection that a caller might succeed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Open {
    pub list: bool,
    pub view: bool,
    pub create: bool,
    pub update: bool,
    pub delete: bool,
}

impl Open {
    pub const ALL: Open = Open { list: true, view: true, create: true, update: true, delete: true };

    pub fn any(self) -> bool {
        self != Open::default()
    }
}

/// One for each collection, in the schema's order.
pub fn standing(cx: &Context<'_>) -> Vec<Open> {
    if cx.is_superuser() {
        return vec![Open::ALL; cx.schema.collections.len()];
    }
    cx.schema.collections.iter().map(|collection| open(cx, collection)).collect()
}

/// The same for someone who is not logged in.
pub fn of_guests(cx: &Context<'_>) -> Vec<Open> {
    let nobody = Request::default();
    standing(&cx.with_request(&nobody))
}

fn open(cx: &Context<'_>, collection: &Arc<Collection>) -> Open {
    let may = |rule: &Option<String>, creating: bool| match rule.as_deref() {
        None => false,
        Some("") => true,
        Some(rule) => match cx.parts.filters.parse(rule) {
            Ok(filter) => is_possible(cx, collection, &filter, creating),
            Err(_) => false,
        },
    };
    Open {
        list: may(&collection.list_rule, false),
        view: may(&collection.view_rule, false),
        create: may(&collection.create_rule, true),
        update: may(&collection.update_rule, false),
        delete: may(&collection.delete_rule, false),
    }
}

/// Only comparisons of the caller's account are looked at; everything else might hold.
fn is_possible(cx: &Context<'_>, collection: &Arc<Collection>, filter: &Filter, creating: bool) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(|part| is_possible(cx, collection, part, creating)),
        Filter::Or(parts) => parts.iter().any(|part| is_possible(cx, collection, part, creating)),
        Filter::Test(test) if is_about_caller(test) => {
            // Nobody is the record itself; with any other field, an empty one equals the missing account.
            if cx.request.auth.is_none() && wants_own_id(test) {
                return false;
            }
            let mut resolver = cx.resolver(collection, Trust::Full);
            if creating {
                resolver = resolver.creating();
            }
            resolver.condition(filter).map_or(true, |expr| expr != Expr::Const(false))
        }
        Filter::Test(_) => true,
    }
}

/// Whether a comparison has the caller's account on one side, and nothing that varies between requests on the other.
fn is_about_caller(test: &Test) -> bool {
    let account = |term: &Term| matches!(term, Term::Path(path) if path.starts_with("@request.auth."));
    let fixed = |term: &Term| match term {
        Term::Path(path) => !path.starts_with('@') || path.starts_with("@request.auth."),
        Term::Call { .. } => false,
        _ => true,
    };
    (account(&test.left) || account(&test.right)) && fixed(&test.left) && fixed(&test.right)
}

fn wants_own_id(test: &Test) -> bool {
    let id = |term: &Term| matches!(term, Term::Path(path) if &**path == "id");
    test.op == Operator::Eq && (id(&test.left) || id(&test.right))
}
