//! Who may see an event, and what of it. Judged once for all who cannot be told apart by the rule, and written once
//! for all who get the same.

use std::sync::Arc;

use base::limits::REALTIME_JUDGES_MAX;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use model::filter::{Resolved, Trust};
use model::{Collection, Record, Request};
use query::Expr;
use rustc_hash::FxHashMap;

use super::dispatch::Action;
use super::foresight::Foreseen;
use super::standing::Caller;
use super::topic::Class;
use crate::error::Result;
use crate::parts::Parts;
use crate::records::Shown;
use crate::rules::{Condition, Context, evaluate};

/// Which of a collection's rules a topic is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    List,
    View,
}

/// A record that something happens to.
pub(super) struct Event {
    pub action: Action,
    pub record: Record,
    pub state: State,
}

/// Whether the record is in the database while it is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Stored,
    Gone,
}

/// A resolved rule and filter, good as long as nothing that it was made from is another.
pub(super) struct Known {
    version: u64,
    collection: Arc<Collection>,
    caller: Option<Arc<Record>>,
    condition: Arc<Condition>,
}

/// What tells one verdict from another: scope, caller and options, each only where the rule asks for it.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    scope: Scope,
    caller: u64,
    text: Option<Arc<str>>,
}

enum Verdict {
    Settled(bool),
    /// Only the database can tell.
    Open(Arc<Condition>),
}

/// What was found for one class: its event, or nothing that it may see.
pub(super) type Found = Result<Option<Bytes>>;

pub(super) struct Judge<'a> {
    pub parts: &'a Parts,
    pub event: Event,
}

impl Judge<'_> {
    /// The events of the classes that see it, and the errors of those of whom that could not be found out.
    pub async fn found(&self, classes: &[(Scope, Arc<Class>)]) -> Vec<Found> {
        let (settled, open) = self.verdicts(classes);
        let asked: Vec<_> = open.into_iter().map(|condition| self.ask(condition)).collect();
        let answers: Vec<Result<bool>> = stream::iter(asked).buffered(REALTIME_JUDGES_MAX).collect().await;
        let mut written: FxHashMap<(bool, bool, Option<Arc<str>>), Bytes> = FxHashMap::default();
        let mut found = Vec::with_capacity(classes.len());
        for ((_, class), verdict) in classes.iter().zip(settled) {
            let holds = match verdict {
                Ok(holds) => Ok(holds),
                Err(index) => match &answers[index] {
                    Ok(holds) => Ok(*holds),
                    Err(error) => Err(crate::Error::new(error.kind, error.message.clone())),
                },
            };
            found.push(match holds {
                Ok(false) => Ok(None),
                Ok(true) => self.write(class, &mut written).await.map(Some),
                Err(error) => Err(error),
            });
        }
        found
    }

    /// The events of those classes only that have to be asked while the record is stored.
    pub async fn foresee(&self, classes: &[(Scope, Arc<Class>)]) -> Foreseen {
        let (settled, _) = self.verdicts(classes);
        let needy: Vec<(Scope, Arc<Class>)> = classes
            .iter()
            .zip(settled)
            .filter(|((_, class), verdict)| match verdict {
                Ok(holds) => *holds && !class.options.expand.is_empty(),
                Err(_) => true,
            })
            .map(|(class, _)| class.clone())
            .collect();
        let found = self.found(&needy).await;
        // What could not be found out now is tried again afterwards.
        needy.into_iter().zip(found).filter_map(|((_, class), found)| Some((class, found.ok()?))).collect()
    }

    /// For each class its verdict, or which of the conditions decides it.
    fn verdicts(
        &self,
        classes: &[(Scope, Arc<Class>)],
    ) -> (Vec<std::result::Result<bool, usize>>, Vec<Arc<Condition>>) {
        let mut open = Vec::new();
        let mut shared: FxHashMap<Key, std::result::Result<bool, usize>> = FxHashMap::default();
        let verdicts = classes.iter().map(|(scope, class)| {
            let key = self.key(*scope, class);
            if let Some(verdict) = key.as_ref().and_then(|key| shared.get(key)) {
                return *verdict;
            }
            let verdict = match self.verdict(*scope, class) {
                Verdict::Settled(verdict) => Ok(verdict),
                Verdict::Open(condition) => {
                    open.push(condition);
                    Err(open.len() - 1)
                }
            };
            if let Some(key) = key {
                shared.insert(key, verdict);
            }
            verdict
        });
        (verdicts.collect(), open)
    }

    fn rule(&self, scope: Scope) -> Option<&str> {
        let collection = &self.event.record.collection;
        match scope {
            Scope::List => collection.list_rule.as_deref(),
            Scope::View => collection.view_rule.as_deref(),
        }
    }

    /// Who shares the verdict; `None` for nobody.
    fn key(&self, scope: Scope, class: &Class) -> Option<Key> {
        if !class.options.filter.is_empty()
            || class.caller.as_ref().is_some_and(|caller| caller.is_superuser())
        {
            return None;
        }
        let rule = self.rule(scope).unwrap_or_default();
        let asks_options = rule.contains("@request.query") || rule.contains("@request.headers");
        let asks_caller = rule.contains("@request.auth");
        let caller = class.caller.as_ref().filter(|_| asks_caller).map_or(0, |caller| caller.no);
        Some(Key { scope, caller, text: asks_options.then(|| class.text.clone()) })
    }

    fn verdict(&self, scope: Scope, class: &Class) -> Verdict {
        let caller = class.caller.as_ref().map(|caller| caller.record());
        let superuser = caller.as_ref().is_some_and(|caller| caller.collection.is_superusers());
        let rule = match self.rule(scope) {
            _ if superuser => "",
            None => return Verdict::Settled(false),
            Some(rule) => rule,
        };
        if rule.is_empty() && class.options.filter.is_empty() {
            return Verdict::Settled(true);
        }
        // What cannot be resolved holds for nothing.
        let Some(condition) = self.condition(class, rule, caller) else { return Verdict::Settled(false) };
        match evaluate(&self.event.record, &condition) {
            Some(verdict) => Verdict::Settled(verdict),
            None => Verdict::Open(condition),
        }
    }

    fn condition(&self, class: &Class, rule: &str, caller: Option<Arc<Record>>) -> Option<Arc<Condition>> {
        let collection = &self.event.record.collection;
        let version = self.parts.catalog.schema().version;
        let same = |left: &Option<Arc<Record>>, right: &Option<Arc<Record>>| match (left, right) {
            (Some(left), Some(right)) => Arc::ptr_eq(left, right),
            (left, right) => left.is_none() && right.is_none(),
        };
        if let Some(known) = &*class.known.lock()
            && known.version == version
            && Arc::ptr_eq(&known.collection, collection)
            && same(&known.caller, &caller)
        {
            return Some(known.condition.clone());
        }
        let filter = &class.options.filter;
        let request = request(class, caller.clone());
        let cx = Context::new(self.parts, &request);
        let condition = Arc::new(resolve(&cx, collection, rule, filter).ok()?);
        // Words that stand for the time are resolved anew each time.
        let is_steady = |text: &str| {
            !text.contains('@')
                || text
                    .match_indices('@')
                    .all(|(at, _)| STEADY.iter().any(|word| text[at..].starts_with(word)))
        };
        if is_steady(rule) && is_steady(filter) {
            *class.known.lock() =
                Some(Known { version, collection: collection.clone(), caller, condition: condition.clone() });
        }
        Some(condition)
    }

    async fn ask(&self, condition: Arc<Condition>) -> Result<bool> {
        let request = Request::default();
        let cx = Context::new(self.parts, &request);
        match self.event.state {
            // Asked of the record as it was.
            State::Gone => cx.would_pass(&self.event.record, &condition).await,
            State::Stored => cx.passes(&self.event.record, &condition).await,
        }
    }

    async fn write(
        &self,
        class: &Class,
        written: &mut FxHashMap<(bool, bool, Option<Arc<str>>), Bytes>,
    ) -> Result<Bytes> {
        let options = &class.options;
        let request = request(class, class.caller.as_ref().map(|caller| caller.record()));
        let cx = Context::new(self.parts, &request);
        let mut shown: Shown = cx.show(self.event.record.clone()).await?;
        let plain = options.expand.is_empty() && options.fields.is_empty();
        // What is expanded depends on the caller; what is picked from the rest does not.
        let key = (shown.hidden, shown.email, (!plain).then(|| class.text.clone()));
        let shared = options.expand.is_empty();
        if shared && let Some(bytes) = written.get(&key) {
            return Ok(bytes.clone());
        }
        if !options.expand.is_empty() {
            cx.expand(std::slice::from_mut(&mut shown), &options.expand).await?;
        }
        let bytes = (self.parts.realtime.0.wire.event)(self.event.action, &shown, &options.fields);
        if shared {
            written.insert(key, bytes.clone());
        }
        Ok(bytes)
    }
}

/// What follows an `@` without changing by itself from one event to the next.
const STEADY: [&str; 7] = [
    "@request.auth.",
    "@request.query.",
    "@request.headers.",
    "@request.body.",
    "@request.method",
    "@request.context",
    "@collection.",
];

/// Rules of realtime see the request that the options describe.
pub(super) fn request(class: &Class, auth: Option<Arc<Record>>) -> Request {
    Request {
        context: "realtime",
        query: class.options.query.clone(),
        headers: class.options.headers.clone(),
        auth,
        ..Request::default()
    }
}

/// Rule and filter by one resolver, as a list has them.
fn resolve(cx: &Context<'_>, collection: &Arc<Collection>, rule: &str, filter: &str) -> Result<Condition> {
    let mut resolver = cx.resolver(collection, Trust::Full);
    let mut parts = Vec::new();
    if !rule.is_empty() {
        parts.push(resolver.condition(&*cx.parts.filters.parse(rule)?)?);
    }
    resolver.trust(cx.trust());
    if !filter.is_empty() {
        parts.push(resolver.condition(&*cx.parts.filters.parse(filter)?)?);
    }
    let Resolved { filter, joins, .. } = resolver.finish(Expr::and(parts), Vec::new())?;
    Ok(Condition { expr: filter, joins })
}

impl Caller {
    fn is_superuser(&self) -> bool {
        self.record().collection.is_superusers()
    }
}
