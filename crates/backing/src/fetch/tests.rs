//! The client against a server that misbehaves.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers each connection with the text, after `{port}` in it is filled in; returns the port.
async fn server(text: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(text.replace("{port}", &port.to_string()).as_bytes()).await;
        }
    });
    port
}

fn fetch() -> Fetch {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Fetch::new(false)
}

#[tokio::test]
async fn only_an_administrator_reaches_the_own_network() {
    let port = server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"] {
        let url = format!("http://{host}:{port}/");
        let refused = fetch().send(Call::get(&url, Reach::Public)).await;
        assert!(matches!(refused, Err(FetchError::Refused(_))), "{host}: {refused:?}");
    }
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(&fetch().send(Call::get(&url, Reach::Configured)).await.unwrap().body[..], b"hi");
    assert_eq!(Fetch::new(true).send(Call::get(&url, Reach::Public)).await.unwrap().status, 200);
    for url in ["file:///etc/passwd", "ftp://x/", "gopher://x", "data:text/plain,x", "", "//x"] {
        assert!(matches!(fetch().send(Call::get(url, Reach::Configured)).await, Err(FetchError::Refused(_))));
    }
}

#[tokio::test]
async fn redirects_do_not_lead_into_the_own_network() {
    let away =
        server("HTTP/1.1 302 Found\r\nLocation: http://localhost:{port}/x\r\nContent-Length: 0\r\n\r\n")
            .await;
    let url = format!("http://127.0.0.1:{away}/");
    let refused = fetch().send(Call::get(&url, Reach::Configured)).await;
    assert!(matches!(refused, Err(FetchError::Refused(_))), "{refused:?}");
    let with_token = Call::get(&url, Reach::Configured).header("authorization", "Bearer x");
    assert!(matches!(Fetch::new(true).send(with_token).await, Err(FetchError::Refused(_))));
    let circle = server("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n").await;
    let url = format!("http://127.0.0.1:{circle}/");
    assert!(matches!(fetch().send(Call::get(&url, Reach::Configured)).await, Err(FetchError::Failed(_))));
}

#[tokio::test]
async fn answers_have_a_largest_size() {
    let port = server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789").await;
    let mut call = Call::get(format!("http://127.0.0.1:{port}/"), Reach::Configured);
    call.bytes_max = 8;
    assert!(matches!(fetch().send(call.clone()).await, Err(FetchError::TooLarge(8))));
    call.bytes_max = 9;
    assert!(fetch().send(call).await.is_ok());
}
