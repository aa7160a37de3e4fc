//! Pushes of a real batch's totals to a real Pushgateway on loopback: how long one takes, against what merely
//! writes the same bytes to a socket, and against other programs.
//!
//! ```sh
//! cargo bench --bench push -- [--pushes 3000] [--rival NAME=COMMAND]...
//! ```
//!
//! All take turns in one run, so that what slows the machine slows all of them. Prints one JSON object; times are in
//! microseconds. `benches/push/rival.rs` says what a rival has to do.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark ends at once where something is wrong, and prints what it found"
)]

mod night;
mod raw;
mod rival;

use clap::Parser as _;
use mutation_agent::batch::{self, Threads};
use mutation_agent::gateway::{Body, Client, Compression, Format, Moment, Schedule, deliver};
use night::{Night, Pushgateway};
use raw::{Raw, Request};
use rival::Rival;
use serde_json::{Value, json};
use std::future::pending;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// In which the formats take turns: few, since processor time is told in hundredths of a second.
const TURNS: usize = 5;

#[derive(clap::Parser)]
struct Args {
    /// Pushes of each
    #[arg(long, default_value_t = 3000)]
    pushes: usize,
    /// Pushes of one before it is the next one's turn
    #[arg(long, default_value_t = 50)]
    turn: usize,
    /// Another program, as NAME=COMMAND
    #[arg(long, value_name = "NAME=COMMAND")]
    rival: Vec<String>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let folder = tempfile::tempdir().unwrap();
    let gateway = Pushgateway::start();
    let night = Night::run(folder.path(), gateway.port);
    let latency = latency(&args, &night, &gateway, folder.path());
    let formats = formats(&args, &night, &gateway);
    println!("{}", json!({ "pushes": args.pushes, "latency_us": latency, "formats": formats }));
}

/// Who pushes: so many times, and the nanoseconds of each.
type Pusher<'a> = Box<dyn FnMut(usize) -> Vec<u64> + 'a>;

fn latency(args: &Args, night: &Night, gateway: &Pushgateway, folder: &Path) -> Value {
    let threads = Threads::start().unwrap();
    let client = Client::new(night.gateway().clone(), batch::now).unwrap();
    let body = client.gateway().body(&night.families(), &Moment::default()).unwrap();
    let request = caught(night, gateway.port, &threads, &body);
    let mut raw = Raw::connect(gateway.port);
    let mut pushers: Vec<(&str, Pusher)> = vec![
        ("raw socket", Box::new(|count| timed(count, || raw.push(&request)))),
        (
            "ours, last push",
            Box::new(|count| timed(count, || threads.block_on(push(&client, &body)))),
        ),
        (
            "ours, last push, encoding included",
            Box::new(|count| {
                timed(count, || {
                    let families = night.families();
                    let body = client.gateway().body(&families, &Moment::default()).unwrap();
                    threads.block_on(push(&client, &body));
                    (families, body)
                })
            }),
        ),
        (
            "ours, during the batch",
            Box::new(|count| in_the_background(count, &threads, &client, &body)),
        ),
    ];
    for rival in &args.rival {
        let (name, command) = rival.split_once('=').expect("NAME=COMMAND");
        let mut rival = Rival::start(command, night.gateway(), folder);
        pushers.push((name, Box::new(move |count| rival.push(count))));
    }
    let mut times: Vec<Vec<u64>> = vec![Vec::new(); pushers.len()];
    // The first turn of each opens connections and warms caches; it is not counted.
    for turn in 0..=args.pushes.div_ceil(args.turn) {
        for ((_, pusher), times) in pushers.iter_mut().zip(&mut times) {
            let of_turn = pusher(args.turn);
            if turn > 0 {
                times.extend(of_turn);
            }
        }
    }
    pushers
        .iter()
        .zip(times)
        .map(|((name, _), times)| ((*name).to_owned(), figures(times)))
        .collect()
}

fn figures(mut times: Vec<u64>) -> Value {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100] as f64 / 1000.0;
    let mean = times.iter().sum::<u64>() as f64 / times.len() as f64 / 1000.0;
    json!({ "p50": at(50), "p90": at(90), "p99": at(99), "mean": mean })
}

/// Until the gateway has answered; what is let go afterwards is not waited for by anybody.
fn timed<T>(count: usize, mut push: impl FnMut() -> T) -> Vec<u64> {
    let one = |_| {
        let started = Instant::now();
        let left = push();
        let time = nanos(started.elapsed());
        drop(left);
        time
    };
    (0..count).map(one).collect()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

/// As at the end of a batch: one delivery with its retry, which is not needed here.
async fn push(client: &Client, body: &Body) {
    let delivery = deliver(client, body, Schedule::once(PATIENCE), pending::<()>()).await;
    delivery.result.unwrap();
}

/// As while a batch runs: on the thread of the pushes.
fn in_the_background(count: usize, threads: &Threads, client: &Client, body: &Body) -> Vec<u64> {
    let (client, body) = (client.clone(), body.clone());
    let task = async move {
        let mut times = Vec::new();
        for _ in 0..count {
            let started = Instant::now();
            push(&client, &body).await;
            times.push(nanos(started.elapsed()));
        }
        times
    };
    threads.block_on(threads.spawn(task)).unwrap()
}

/// The bytes that our client sends for this body.
fn caught(night: &Night, port: u16, threads: &Threads, body: &Body) -> Request {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(night.gateway_at(&listener), batch::now).unwrap();
    std::thread::scope(|scope| {
        let request = scope.spawn(|| Request::caught(&listener, port));
        threads.block_on(push(&client, body));
        request.join().unwrap()
    })
}

/// What a push costs in bytes, and the gateway in processor time, by format and compression.
fn formats(args: &Args, night: &Night, gateway: &Pushgateway) -> Value {
    let threads = Threads::start().unwrap();
    let families = night.families();
    let (grouping, moment) = (night.gateway().grouping(), Moment::default());
    let of =
        |format, compression| Body::new(&families, format, compression, grouping, &moment).unwrap();
    let request = caught(night, gateway.port, &threads, &of(Format::Protobuf, Compression::None));
    let all = [
        ("protobuf", Format::Protobuf, Compression::None),
        ("protobuf, gzip", Format::Protobuf, Compression::Gzip),
        ("text", Format::Text, Compression::None),
        ("text, gzip", Format::Text, Compression::Gzip),
    ];
    let mut rows = all.map(|(name, format, compression)| {
        let body = of(format, compression);
        (name, body.bytes().len(), request.with(&body), 0)
    });
    let mut raw = Raw::connect(gateway.port);
    for _ in 0..TURNS {
        for (_, _, request, used) in &mut rows {
            let before = gateway.processor_millis();
            (0..args.pushes.div_ceil(TURNS)).for_each(|_| raw.push(request));
            *used += gateway.processor_millis() - before;
        }
    }
    let pushes = args.pushes.div_ceil(TURNS) * TURNS;
    let row = |(name, bytes, _, used): (&str, usize, _, u64)| {
        let cpu = used as f64 * 1000.0 / pushes as f64;
        (name.to_owned(), json!({ "body_bytes": bytes, "gateway_cpu_us": cpu }))
    };
    rows.into_iter().map(row).collect()
}
