//! A wire between two processes, which a test cuts in one way or another. What is held up is not lost: it arrives when the
//! wire is whole again, as on a network that sends again.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;

const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    #[default]
    None,
    /// Nothing arrives anywhere, and no connection is seen to end.
    Silent,
    /// What is asked arrives, and no answer does.
    Unanswered,
    /// Connections break, and new ones with them.
    Broken,
}

impl Cut {
    fn holds(self, answers: bool) -> bool {
        self == Cut::Silent || (self == Cut::Unanswered && answers)
    }
}

pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Default)]
struct State {
    cut: Cut,
    over: bool,
    /// Both ends of each connection.
    open: HashMap<u64, [TcpStream; 2]>,
    count: u64,
}

impl Link {
    /// Whoever connects to its address is led to `port`.
    pub fn to(port: u16) -> Result<Link> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = own.state();
                if state.over {
                    return;
                }
                if state.cut != Cut::Broken {
                    let shared = own.clone();
                    std::thread::spawn(move || join(stream, port, &shared));
                }
            }
        });
        Ok(Link { address, shared })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn turn(&self, cut: Cut) {
        let mut state = self.shared.state();
        state.cut = cut;
        if cut == Cut::Broken {
            close(&mut state);
        }
        self.shared.turned.notify_all();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        (state.over, state.cut) = (true, Cut::None);
        close(&mut state);
        self.shared.turned.notify_all();
        drop(state);
        // Wakes the one that listens.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as this direction is held up.
    fn wait(&self, answers: bool) {
        let mut state = self.state();
        while state.cut.holds(answers) {
            state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn close(state: &mut State) {
    for stream in state.open.drain().flat_map(|(_, both)| both) {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn join(near: TcpStream, port: u16, shared: &Arc<Shared>) {
    shared.wait(false);
    let far = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), CONNECT_WAIT);
    let Ok(far) = far else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let copies = || Some((near.try_clone().ok()?, far.try_clone().ok()?));
    let (Some((near_too, far_too)), Some((near_kept, far_kept))) = (copies(), copies()) else { return };
    let number = {
        let mut state = shared.state();
        state.count += 1;
        let number = state.count;
        state.open.insert(number, [near_kept, far_kept]);
        number
    };
    let own = shared.clone();
    std::thread::spawn(move || pump(far_too, near_too, &own, true));
    pump(near, far, shared, false);
    shared.state().open.remove(&number);
}

fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared, answers: bool) {
    let mut chunk = [0; 16 << 10];
    loop {
        let read = from.read(&mut chunk).unwrap_or(0);
        shared.wait(answers);
        if read == 0 || to.write_all(&chunk[..read]).is_err() {
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
    }
}
