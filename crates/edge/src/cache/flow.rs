//! A request's way through the cache.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};

use super::Cache;
use super::bypass;
use super::compress::Accepted;
use super::conditional;
use super::directives::{Asks, SURROGATE_CONTROL};
use super::fetch::{self, Question};
use super::flight::Answer;
use super::invalidate;
use super::object::{Key, Object};
use super::outcome::{EDGE, Outcome, SHIELD, Told};
use super::policy::Use;
use super::purges::Standing;
use super::variants;
use super::vary;
use crate::body::Body;
use crate::context::Context;
use crate::front::{Origin, plain};
use crate::shield;

pub(super) const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// What is known of a request for something that may be kept.
pub(super) struct Asked {
    pub key: Key,
    pub host: Arc<str>,
    pub target: Arc<str>,
    pub method: Method,
    pub headers: HeaderMap,
    pub asks: Asks,
    pub accepted: Accepted,
    /// An edge asks, which keeps the answer as the origin gave it.
    pub for_edge: bool,
}

impl Asked {
    /// The request whole again, for whoever passes it on.
    fn give_back(&self, request: &mut Request<Body>) {
        *request.headers_mut() = self.headers.clone();
    }
}

/// One that is kept for the request and does not serve as it is.
struct Known {
    object: Arc<Object>,
    standing: Standing,
    for_edge: bool,
}

impl Cache {
    /// Answers from what is kept, or asks the origin and keeps what it may.
    pub async fn answer(
        self: &Arc<Self>,
        context: &mut Context,
        request: Request<Body>,
        origin: &Origin,
    ) -> Response<Body> {
        if let (Some(asker), Some(heard)) = (&context.edge, &origin.front.heard) {
            self.meter.catch_up(heard.catch_up(asker).await);
        }
        let (mut response, told) = self.ask(context, request, origin).await;
        context.cached = Some(told.outcome);
        self.meter.count(told.outcome, hyper::body::Body::size_hint(response.body()).exact());
        if self.options.tells_status {
            let name = if context.edge.is_some() { SHIELD } else { EDGE };
            told.tell(name, response.headers_mut());
        }
        if context.edge.is_some() {
            // It keeps the answer as this cache would, and purges by the same tags.
            let unanswered = fetch::is_own(&response);
            shield::mark(response.headers_mut(), unanswered);
            return response;
        }
        response.headers_mut().remove(SURROGATE_KEY);
        response.headers_mut().remove(SURROGATE_CONTROL);
        response
    }

    async fn ask(
        self: &Arc<Self>,
        context: &mut Context,
        mut request: Request<Body>,
        origin: &Origin,
    ) -> (Response<Body>, Told) {
        if *request.method() != Method::GET && *request.method() != Method::HEAD {
            return self.pass_method(context, request, origin).await;
        }
        let accepted = Accepted::of(request.headers());
        variants::normalise(request.headers_mut(), &accepted);
        let asked = Arc::new(Asked { accepted, ..self.asked(context, &mut request) });
        let is_passed = bypass::is_asked(&self.options.bypass, &asked.headers)
            || conditional::is_for_origin(&asked.headers)
            || asked.asks.no_store
            || !hyper::body::Body::is_end_stream(request.body())
            || context.upgrade.is_some()
            || asked.headers.contains_key(header::UPGRADE);
        if is_passed {
            asked.give_back(&mut request);
            return (origin.forward(context, request).await, Told::of(Outcome::Bypass));
        }
        let entry = self.storage.get(&asked.key).await;
        let found = entry.as_ref().and_then(|entry| {
            entry.variants.iter().find(|object| vary::selects(object, &asked.headers)).cloned()
        });
        let Some(object) = found else {
            let outcome = if entry.is_some() { Outcome::Variant } else { Outcome::Missing };
            asked.give_back(&mut request);
            return self.ask_origin(context, request, asked, None, outcome, origin).await;
        };
        let age_ms = object.freshness.age_ms(object.answered, SystemTime::now());
        let standing = self.storage.standing(&object);
        let how = match standing {
            Standing::Good => object.freshness.judge(age_ms, &asked.asks),
            Standing::Soft | Standing::Hard => Use::Validate,
        };
        // Whoever asks from an edge judges by itself what may serve stale.
        let for_edge = asked.for_edge;
        match how {
            Use::AsAsked | Use::WhileRevalidated if for_edge => {
                let known = Some(Known { object, standing, for_edge });
                asked.give_back(&mut request);
                self.ask_origin(context, request, asked, known, Outcome::Expired, origin).await
            }
            Use::Fresh => self.kept(&object, &asked, age_ms, Outcome::Hit),
            Use::AsAsked => self.kept(&object, &asked, age_ms, Outcome::Stale),
            Use::WhileRevalidated => {
                asked.give_back(&mut request);
                self.revalidate_behind(context, &request, &asked, &object, origin);
                self.kept(&object, &asked, age_ms, Outcome::Stale)
            }
            Use::Validate => {
                let known = Some(Known { object, standing, for_edge });
                asked.give_back(&mut request);
                self.ask_origin(context, request, asked, known, Outcome::Expired, origin).await
            }
        }
    }

    /// Takes the headers: a hit does not need them twice.
    fn asked(&self, context: &Context, request: &mut Request<Body>) -> Asked {
        let headers = std::mem::take(request.headers_mut());
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let target = self.options.keys.target(target);
        let key = self.options.keys.of(context.secure, host, &target, &headers);
        let asks = match self.options.rules.obeys_clients {
            true => Asks::of(&headers),
            false => Asks::default(),
        };
        Asked {
            key,
            host: host.to_ascii_lowercase().into(),
            target: target.into(),
            method: request.method().clone(),
            headers,
            asks,
            accepted: Accepted::default(),
            for_edge: context.edge.is_some(),
        }
    }

    /// What changes something passes, and then what it changed is forgotten.
    async fn pass_method(
        &self,
        context: &mut Context,
        mut request: Request<Body>,
        origin: &Origin,
    ) -> (Response<Body>, Told) {
        let is_safe = matches!(*request.method(), Method::OPTIONS | Method::TRACE);
        let asked = (!is_safe).then(|| self.asked(context, &mut request));
        if let Some(asked) = &asked {
            asked.give_back(&mut request);
        }
        let response = origin.forward(context, request).await;
        if let Some(asked) = asked
            && (response.status().is_success() || response.status().is_redirection())
        {
            let mut urls = Vec::new();
            for (host, target) in invalidate::changed(&asked, context.secure, response.headers()) {
                let keys = &self.options.keys;
                let target = keys.target(&target);
                let key = keys.of(context.secure, &host, &target, &asked.headers);
                // Most writes go where nothing is kept, and a purge is not free for those who read elsewhere.
                if !keys.is_address()
                    || self.flights.is_asking(&key)
                    || self.storage.get(&key).await.is_some()
                {
                    urls.push(format!("http://{host}{target}"));
                }
            }
            if !urls.is_empty() {
                self.storage.purge(&crate::announce::Purge { urls, ..Default::default() });
            }
        }
        (response, Told::of(Outcome::Method))
    }

    /// What is kept does not serve as it is. The question to the origin is shared with all who ask the same at the time.
    async fn ask_origin(
        self: &Arc<Self>,
        context: &mut Context,
        request: Request<Body>,
        asked: Arc<Asked>,
        known: Option<Known>,
        outcome: Outcome,
        origin: &Origin,
    ) -> (Response<Body>, Told) {
        if asked.asks.only_if_cached {
            return (plain(StatusCode::GATEWAY_TIMEOUT), Told::of(outcome));
        }
        if asked.method == Method::HEAD {
            return self.ask_head(context, request, &asked, known, outcome, origin).await;
        }
        // A part is asked for as it is, unless the whole is known.
        if known.is_none() && asked.headers.contains_key(header::RANGE) {
            return self.ask_alone(context, request, &asked, None, outcome, origin).await;
        }
        let report = Arc::new(OnceLock::new());
        let question = Question {
            cache: self.clone(),
            origin: origin.clone(),
            context: context.aside(),
            request: fetch::copy(&request),
            asked: asked.clone(),
            known: known.as_ref().map(|known| (known.object.clone(), known.standing)),
            report: report.clone(),
        };
        let answer = self.flights.fetch(&asked.key, || fetch::ask(question)).await;
        let report = report.get();
        if let Some(report) = report {
            context.node = report.node.clone();
            context.attempts += report.attempts;
        }
        let mut told = Told::of(match report.is_some_and(|report| report.revalidated) {
            true => Outcome::Revalidated,
            false => outcome,
        });
        told.status = report.map(|report| report.status);
        told.stored = report.and_then(|report| report.stored);
        match answer {
            Answer::Alone => self.ask_alone(context, request, &asked, known, outcome, origin).await,
            Answer::Own(response) => (response, told),
            Answer::Failed(status) => match known.filter(Known::serves_errors) {
                Some(known) => {
                    let (response, stale) = self.kept(&known.object, &asked, known.age_ms(), Outcome::Stale);
                    (response, Told { status: Some(status.as_u16()), ..stale })
                }
                None => (plain(status), told),
            },
            Answer::Shared { head, body, led } => {
                if !led && !vary::selects(&head, &asked.headers) {
                    return self.ask_alone(context, request, &asked, known, outcome, origin).await;
                }
                let age_ms = head.freshness.age_ms(head.answered, SystemTime::now());
                told.ttl = Some(head.freshness.ttl_s(age_ms));
                told.collapsed = !led;
                let came = report.and_then(|report| report.headers.clone()).filter(|_| led);
                (self.coming(&head, came, body, &asked, age_ms), told)
            }
        }
    }

    /// What served stale is asked for again, by one task for each key and a bounded number in all.
    fn revalidate_behind(
        self: &Arc<Self>,
        context: &Context,
        request: &Request<Body>,
        asked: &Arc<Asked>,
        object: &Arc<Object>,
        origin: &Origin,
    ) {
        let Ok(place) = self.behind.clone().try_acquire_owned() else { return };
        let question = Question {
            cache: self.clone(),
            origin: origin.clone(),
            context: context.aside(),
            request: fetch::copy(request),
            asked: asked.clone(),
            known: Some((object.clone(), Standing::Good)),
            report: Arc::default(),
        };
        self.flights.refresh(&asked.key, || async move {
            let fetched = fetch::ask(question).await;
            drop(place);
            fetched
        });
    }
}

impl Known {
    fn age_ms(&self) -> u64 {
        self.object.freshness.age_ms(self.object.answered, SystemTime::now())
    }

    /// That nobody answered is known; whether the origin's own error counts was judged where it came.
    fn serves_errors(&self) -> bool {
        !self.for_edge
            && self.standing != Standing::Hard
            && self.object.freshness.serves_errors(self.age_ms(), true)
    }
}

impl Cache {
    /// HEAD asks for itself, and says something about what is kept for GET.
    async fn ask_head(
        self: &Arc<Self>,
        context: &mut Context,
        request: Request<Body>,
        asked: &Asked,
        known: Option<Known>,
        outcome: Outcome,
        origin: &Origin,
    ) -> (Response<Body>, Told) {
        let moment = self.storage.moment();
        let began = SystemTime::now();
        let response = origin.forward(context, request).await;
        let mut told = Told::of(outcome);
        told.status = Some(response.status().as_u16());
        if let Some(known) = known {
            if fetch::is_error(response.status()) && known.serves_errors() && fetch::is_own(&response) {
                return self.kept(&known.object, asked, known.age_ms(), Outcome::Stale);
            }
            self.learn(asked, &known.object, &response, began, moment);
        }
        (response, told)
    }

    /// Asks without sharing the question, as the client put it; what may be kept is kept on its way.
    async fn ask_alone(
        self: &Arc<Self>,
        context: &mut Context,
        mut request: Request<Body>,
        asked: &Asked,
        known: Option<Known>,
        outcome: Outcome,
        origin: &Origin,
    ) -> (Response<Body>, Told) {
        fetch::introduce(request.headers_mut());
        let moment = self.storage.moment();
        let began = SystemTime::now();
        let response = origin.forward(context, request).await;
        if fetch::is_own(&response)
            && let Some(known) = known.filter(Known::serves_errors)
        {
            return self.kept(&known.object, asked, known.age_ms(), Outcome::Stale);
        }
        self.take(asked, response, began, moment, outcome)
    }
}
