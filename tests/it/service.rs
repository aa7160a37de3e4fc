//! As systemd starts it: log lines with priorities for the journal, and a word now and then on `$NOTIFY_SOCKET`.

use crate::gateway::Gateway;
use crate::scripted_gateway::Step;
use crate::story::{LONG, Story, wait_until};
use rustix::process::Signal;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Instant;

/// The service manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn new(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(LONG)).unwrap();
        Self { socket, heard: Vec::new() }
    }

    /// Listens until a message begins so; all that came before is kept.
    fn wait_for(&mut self, start: &str) -> &str {
        let mut message = [0; 4096];
        while !self.heard.last().is_some_and(|newest| newest.starts_with(start)) {
            let length = self.socket.recv(&mut message).expect("the agent says something");
            self.heard.push(String::from_utf8(message[..length].to_vec()).unwrap());
        }
        self.heard.last().unwrap()
    }
}

/// A batch that is delivered, as the manager at `address` hears of it.
fn a_batch_says_how_far_it_is(address: &str, mut manager: Manager) {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.write("agent.toml", &story.config());
    let ended = story.start_as_it_is(&["run"], &[("NOTIFY_SOCKET", address)]).end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    manager.wait_for("STATUS=batch ");
    let id = story.newest();
    let heard = manager.heard.iter().map(|message| message.trim_end());
    let (rounds, rest): (Vec<_>, Vec<_>) = heard.partition(|text| text.starts_with("STATUS=round"));
    let [opening, stopping, sealing, pushing, end] = rest[..] else { panic!("{rest:?}") };
    assert_eq!(opening, "STATUS=taking the lock; bringing the totals up to the audit");
    assert_eq!(rounds[0], "STATUS=round 1 of 3: 20 of 60 mutations, 20 succeeded");
    assert_eq!(stopping, "STOPPING=1");
    assert_eq!(sealing, "STATUS=the rounds are over; sealing the audit");
    assert_eq!(pushing, "STATUS=sealed; pushing to 1 gateways");
    let start = format!("STATUS=batch {id} completed: 60 mutations, 60 succeeded (100.0 %) in ");
    assert!(end.starts_with(&start) && end.ends_with(" s; delivered to 1 of 1 gateways"), "{end}");
}

#[test]
fn a_batch_says_how_far_it_is_on_a_socket_with_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    a_batch_says_how_far_it_is(path.to_str().unwrap(), manager);
}

#[test]
fn a_batch_says_how_far_it_is_on_an_abstract_socket() {
    let name = format!("mutation-agent-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::new(UnixDatagram::bind_addr(&address).unwrap());
    a_batch_says_how_far_it_is(&format!("@{name}"), manager);
}

#[test]
fn a_manager_that_does_not_read_holds_no_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    // Full, so that whoever waits to send waits for ever.
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"STATUS=full", &path).is_ok() {}
    let story = Story::new();
    story.write("agent.toml", &story.config());
    let address = path.to_str().unwrap();
    for variables in [("NOTIFY_SOCKET", address), ("NOTIFY_SOCKET", "/nowhere/notify")] {
        let ended = story.start_as_it_is(&["run"], &[variables]).end();
        assert_eq!((ended.code, ended.stdout.lines().count()), (0, 1), "{}", ended.stderr);
    }
    drop(socket);
}

#[test]
fn a_long_batch_says_so_seldom_and_a_stop_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let mut manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    let story = Story::long();
    story.write("agent.toml", &story.config());
    let address = path.to_str().unwrap();
    let begun = Instant::now();
    let running = story.start_as_it_is(&["run"], &[("NOTIFY_SOCKET", address)]);
    story.wait_for_journal();
    running.signal(Signal::TERM);
    manager.wait_for("STATUS=batch ");
    let rounds = manager.heard.iter().filter(|message| message.starts_with("STATUS=round "));
    let rounds = rounds.count() as u128;
    let most = begun.elapsed().as_millis() / 500 + 1;
    assert!((1..=most).contains(&rounds), "{rounds} words in {:?}", begun.elapsed());
    assert!(manager.heard.iter().any(|message| message == "STOPPING=1\n"));
    assert!(manager.heard.last().unwrap().contains(" interrupted: "), "{:?}", manager.heard);
    assert_eq!(running.end().code, 143);
}

#[test]
fn a_push_says_what_becomes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let mut manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    let refused = || Step::status(400, &[], "no");
    let gateway = Gateway::scripted(vec![refused(), refused(), Step::ok()]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(75, &["run"]);
    let address = path.to_str().unwrap();
    let ended = story.start_as_it_is(&["push"], &[("NOTIFY_SOCKET", address)]).end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    manager.wait_for("STATUS=main: ");
    let heard: Vec<_> = manager.heard.iter().map(|message| message.trim_end()).collect();
    assert_eq!(heard, ["STATUS=pushing to 1 gateways", "STATUS=main: delivered"]);
}

#[test]
fn a_start_that_comes_to_nothing_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let mut manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    let story = Story::new();
    story.write("agent.toml", "[batch]\nround = 3\n");
    let address = path.to_str().unwrap();
    let ended = story.start_as_it_is(&["run"], &[("NOTIFY_SOCKET", address)]).end();
    assert_eq!(ended.code, 78);
    let said = manager.wait_for("STATUS=");
    assert!(said.contains("agent.toml:2:1") && said.contains("rounds"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn lines_for_the_journal_have_a_priority_and_no_time() {
    let gateway = Gateway::scripted(vec![Step::status(503, &[], "busy"), Step::ok()]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.set("push", "interval", "\"1h\"");
    story.write("agent.toml", &story.config());
    let ended = story.start_under_the_journal(&["-v", "run"]).end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let with = |priority: &str, words: &str| {
        let found = |line: &str| line.starts_with(priority) && line.contains(words);
        assert!(ended.stderr.lines().any(found), "{priority}{words} is not in\n{}", ended.stderr);
    };
    with("<4>", "push during the batch failed");
    with("<6>", "batch begins seed=7");
    with("<7>", "Exit mutation success: ");
    for line in ended.stderr.lines() {
        let rest = line.strip_prefix('<').and_then(|line| line.split_once('>'));
        assert!(rest.is_some_and(|(number, _)| ["3", "4", "6", "7"].contains(&number)), "{line}");
        assert!(rest.is_some_and(|(_, text)| text.starts_with("batch{id=")), "{line}");
    }
    // A message of several lines is as many entries, and each is an error.
    story.write("agent.toml", "[batch]\nround = 3\n");
    let ended = story.start_under_the_journal(&["run"]).end();
    assert_eq!(ended.code, 78);
    assert!(ended.stderr.lines().all(|line| line.starts_with("<3>")), "{}", ended.stderr);
}

#[test]
fn a_stream_of_someone_else_is_not_the_journal() {
    let story = Story::new();
    story.write("agent.toml", &story.config());
    for variables in [&[("JOURNAL_STREAM", "8:12345")][..], &[]] {
        let running = story.start_as_it_is(&["run"], variables);
        wait_until("the batch has begun", || running.log().contains("batch begins"));
        let ended = running.end();
        assert!(ended.stderr.lines().all(|line| line.starts_with("20")), "{}", ended.stderr);
    }
}
