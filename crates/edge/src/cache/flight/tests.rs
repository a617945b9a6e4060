use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::*;
use crate::announce::Purge;
use crate::body::Failure;
use crate::cache::tests::object;

fn flights() -> Arc<Flights> {
    Arc::new(Flights::new(Arc::new(Storage::new(64 << 20))))
}

fn key(name: &str) -> Key {
    Key(name.as_bytes().into())
}

type Chunk = Result<Bytes, Failure>;

/// A body whose chunks are sent by hand.
fn streaming() -> (mpsc::UnboundedSender<Chunk>, Body) {
    let (send, receive) = mpsc::unbounded_channel::<Chunk>();
    let stream = futures_util::stream::unfold(receive, |mut receive| async move {
        let chunk = receive.recv().await?;
        Some((chunk.map(Frame::data), receive))
    });
    (send, Body::Boxed(Box::pin(StreamBody::new(stream))))
}

async fn text(body: Body) -> Result<String, Failure> {
    Ok(String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned())
}

fn keep(body: Body) -> Fetched {
    Fetched::Keep(Box::new(object("h", "/", &["a"], "")), body)
}

#[tokio::test]
async fn those_who_miss_together_share_one_question_and_read_along() {
    let flights = flights();
    let asked = Arc::new(AtomicUsize::new(0));
    let (send, body) = streaming();
    let body = Arc::new(Mutex::new(Some(body)));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let (flights, asked, body) = (flights.clone(), asked.clone(), body.clone());
        waiting.spawn(async move {
            let fetch = || async move {
                asked.fetch_add(1, Ordering::SeqCst);
                keep(body.lock().take().unwrap())
            };
            match flights.fetch(&key("a"), fetch).await {
                Answer::Shared { body, .. } => text(body).await.unwrap(),
                _ => panic!("not shared"),
            }
        });
    }
    send.send(Ok("one ".into())).unwrap();
    tokio::task::yield_now().await;
    send.send(Ok("two".into())).unwrap();
    drop(send);
    while let Some(body) = waiting.join_next().await {
        assert_eq!(body.unwrap(), "one two");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let kept = flights.shared.storage.peek(&key("a")).unwrap();
    assert_eq!(kept.variants[0].body, "one two");
    assert!(flights.shared.flying.iter().all(|flying| flying.lock().is_empty()));
}

#[tokio::test]
async fn a_client_that_goes_does_not_end_what_others_wait_for() {
    let flights = flights();
    let (send, body) = streaming();
    let (told, mut begun) = mpsc::unbounded_channel();
    let leader = tokio::spawn({
        let flights = flights.clone();
        async move {
            let fetch = || async move {
                told.send(()).unwrap();
                keep(body)
            };
            flights.fetch(&key("a"), fetch).await
        }
    });
    begun.recv().await.unwrap();
    leader.abort();
    let follower = flights.fetch(&key("a"), || async { panic!("asked twice") }).await;
    let Answer::Shared { body, led: false, .. } = follower else { panic!("not shared") };
    send.send(Ok("whole".into())).unwrap();
    drop(send);
    assert_eq!(text(body).await.unwrap(), "whole");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_for_all_and_not_kept() {
    let flights = flights();
    let (send, body) = streaming();
    let answer = flights.fetch(&key("a"), || async { keep(body) }).await;
    let Answer::Shared { body, .. } = answer else { panic!("not shared") };
    send.send(Ok("half".into())).unwrap();
    send.send(Err("gone".into())).unwrap();
    assert!(text(body).await.is_err());
    assert!(flights.shared.storage.peek(&key("a")).is_none());
    // One that is shorter than it said.
    let mut short = object("h", "/", &[], "");
    short.headers.insert(header::CONTENT_LENGTH, 10.into());
    let (send, body) = streaming();
    let answer = flights.fetch(&key("b"), || async { Fetched::Keep(Box::new(short), body) }).await;
    let Answer::Shared { body, .. } = answer else { panic!("not shared") };
    send.send(Ok("half".into())).unwrap();
    drop(send);
    let _ = text(body).await;
    assert!(flights.shared.storage.peek(&key("b")).is_none());
}

#[tokio::test]
async fn what_is_not_to_be_shared_is_not_waited_for_again() {
    let flights = flights();
    let pass = || async { Fetched::Pass(Response::new(Body::Full("mine".into()))) };
    assert!(matches!(flights.fetch(&key("a"), pass).await, Answer::Own(_)));
    assert!(matches!(flights.fetch(&key("a"), pass).await, Answer::Alone));
    assert!(matches!(flights.fetch(&key("b"), pass).await, Answer::Own(_)));
}

#[tokio::test]
async fn who_comes_after_a_purge_never_gets_what_was_asked_for_before() {
    let flights = flights();
    let (_send, body) = streaming();
    let old = flights.fetch(&key("a"), || async { keep(body) }).await;
    assert!(matches!(old, Answer::Shared { led: true, .. }));
    flights.shared.storage.purge(&Purge { tags: vec!["a".into()], ..Purge::default() });
    let new = flights.fetch(&key("a"), || async { keep(Body::Full("new".into())) }).await;
    let Answer::Shared { body, led: true, .. } = new else { panic!("not asked anew") };
    assert_eq!(text(body).await.unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_passes_and_a_slow_reader_falls_off() {
    const CHUNK: usize = 1 << 20;
    let flights = flights();
    let (send, body) = streaming();
    let first = flights.fetch(&key("a"), || async { keep(body) }).await;
    let Answer::Shared { body: quick, .. } = first else { panic!("not shared") };
    let second = flights.fetch(&key("a"), || async { panic!("asked twice") }).await;
    let Answer::Shared { body: slow, .. } = second else { panic!("not shared") };
    let chunks = EDGE_OBJECT_BYTES_MAX / CHUNK + 8;
    for _ in 0..chunks {
        send.send(Ok(vec![b'x'; CHUNK].into())).unwrap();
    }
    drop(send);
    let whole = quick.collect().await.unwrap().to_bytes();
    assert_eq!(whole.len(), chunks * CHUNK);
    assert!(slow.collect().await.is_err());
    assert!(flights.shared.storage.peek(&key("a")).is_none());
    assert_eq!(flights.shared.budget.taken(), 0);
}

#[tokio::test]
async fn a_fetch_that_panics_is_one_failed_answer() {
    let flights = flights();
    let broken = flights.fetch(&key("a"), || async { panic!("broken") }).await;
    assert!(matches!(broken, Answer::Failed(_)));
    assert!(matches!(flights.fetch(&key("a"), || async { keep(Body::Empty) }).await, Answer::Shared { .. }));
}
