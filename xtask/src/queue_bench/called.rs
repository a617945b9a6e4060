//! Who is called by jobs: notes each call by its id, on connections that stay open.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use parking_lot::{Condvar, Mutex};

#[derive(Default)]
struct Noted {
    count: usize,
    by_id: HashMap<String, u32>,
}

pub struct Called {
    port: u16,
    noted: Arc<(Mutex<Noted>, Condvar)>,
}

impl Called {
    pub fn start() -> Result<Called> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let noted = Arc::<(Mutex<Noted>, Condvar)>::default();
        let shared = noted.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Ok(Called { port, noted })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub fn count(&self) -> usize {
        self.noted.0.lock().count
    }

    /// Returns when more calls than these have come.
    pub fn wait_beyond(&self, count: usize, wait: Duration) -> Result<Instant> {
        let until = Instant::now() + wait;
        let mut noted = self.noted.0.lock();
        while noted.count <= count {
            if self.noted.1.wait_until(&mut noted, until).timed_out() {
                bail!("{} calls came, not more than {count}", noted.count);
            }
        }
        Ok(Instant::now())
    }

    /// Calls of ids that begin so, and how many ids there were.
    pub fn counts(&self, begins: &str) -> (usize, usize) {
        let noted = self.noted.0.lock();
        let of = noted.by_id.iter().filter(|(id, _)| id.starts_with(begins));
        of.fold((0, 0), |(calls, once), (_, count)| (calls + *count as usize, once + 1))
    }
}

fn serve(stream: &TcpStream, noted: &(Mutex<Noted>, Condvar)) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
        {
            let mut noted = noted.0.lock();
            noted.count += 1;
            *noted.by_id.entry(body["id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        noted.1.notify_all();
        (&*stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}
