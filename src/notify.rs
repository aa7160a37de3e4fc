//! What systemd is told while we work: `STATUS=` for `systemctl status`, by the protocol of `sd_notify(3)`.
//!
//! A datagram to the socket that systemd names. It goes out or it is lost: a batch never waits for it, and nothing
//! depends on it.

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// Between two words on how far a batch is.
const INTERVAL: Duration = Duration::from_millis(500);

/// A service manager that listens, or nobody.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// When the newest word on progress went out.
    last: Cell<Option<Instant>>,
}

impl Notifier {
    /// To `$NOTIFY_SOCKET`: a path, or `@` and an abstract name. Nobody is told where it is none of both.
    pub fn new(address: Option<&OsStr>) -> Self {
        let socket = address.and_then(|address| {
            let address = parse(address)?;
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        Self { socket, last: Cell::new(None) }
    }

    /// A new phase.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}\n", text.replace(['\r', '\n'], " ")));
    }

    /// How far a phase is: said twice a second at the most, and not even made where nobody listens.
    pub fn progress(&self, text: impl FnOnce() -> String) {
        let recent = self.last.get().is_some_and(|last| last.elapsed() < INTERVAL);
        if self.socket.is_some() && !recent {
            self.last.set(Some(Instant::now()));
            self.status(&text());
        }
    }

    /// All is up, or up again.
    pub fn ready(&self) {
        self.send("READY=1\n");
    }

    /// The config is read again; [`Self::ready`] says when that is done. The time is that of the system's monotonic clock.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
    }

    /// A sign of life, for a manager that would restart us without.
    pub fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    /// The way out has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1\n");
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            // A full queue or a manager that went away changes nothing of what we do.
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

fn parse(address: &OsStr) -> Option<SocketAddr> {
    match address.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(address).ok(),
        [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name).ok(),
        // Such as vsock, which virtual machines have and a batch does not.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening() -> (tempfile::TempDir, UnixDatagram, Notifier) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        (folder, manager, Notifier::new(Some(path.as_os_str())))
    }

    fn next(manager: &UnixDatagram) -> Option<String> {
        let mut message = [0; 256];
        let length = manager.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..length]).into_owned())
    }

    #[test]
    fn a_status_is_one_line_whatever_stands_in_it() {
        let (_folder, manager, notifier) = listening();
        notifier.status("sealing\nREADY=1\r");
        assert_eq!(next(&manager).as_deref(), Some("STATUS=sealing READY=1 \n"));
    }

    #[test]
    fn progress_is_said_once_in_a_while_and_a_phase_at_once() {
        let (_folder, manager, notifier) = listening();
        (0..1000).for_each(|round| notifier.progress(|| format!("round {round}")));
        notifier.status("sealing");
        assert_eq!(next(&manager).as_deref(), Some("STATUS=round 0\n"));
        let rest: Vec<_> = std::iter::from_fn(|| next(&manager)).collect();
        // A machine that stands still for half a second in between says another one.
        assert!(rest.len() < 20, "{rest:?}");
        assert_eq!(rest.last().map(String::as_str), Some("STATUS=sealing\n"));
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody() {
        let (_folder, manager, notifier) = listening();
        (0..10_000).for_each(|_| notifier.status("still at it"));
        assert!(next(&manager).is_some());
        drop(manager);
        notifier.status("nobody is there any more");
    }

    #[test]
    fn what_is_no_address_is_nobody() {
        for address in ["", "@", "vsock:2:1234", "relative", "notify", &"/x".repeat(100)] {
            assert!(Notifier::new(Some(address.as_ref())).socket.is_none(), "{address}");
        }
        assert!(Notifier::new(None).socket.is_none());
    }
}
