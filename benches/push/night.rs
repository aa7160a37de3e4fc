//! A real batch in a temporary folder, and a real Pushgateway for it.

use mutation_agent::batch::BatchPlan;
use mutation_agent::config::{Config, Environment, Secrets};
use mutation_agent::gateway::{Body, Compression, Format, Gateway, GatewaySettings, Moment};
use mutation_agent::metrics::{Exposition, Totals};
use mutation_agent::state::Store;
use prometheus::proto::MetricFamily;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Enough nights that what is usual is shown as well.
const NIGHTS: usize = 8;

/// A Pushgateway on a port of its own; ended when dropped.
pub(crate) struct Pushgateway {
    child: Child,
    pub(crate) port: u16,
}

impl Pushgateway {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus-pushgateway")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--persistence.file=", "--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus-pushgateway must be installed");
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "the gateway does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }

    /// What it has used of the processors so far, in milliseconds; told in hundredths of a second.
    pub(crate) fn processor_millis(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The second field is a name in brackets, which may hold blanks; user and system time are fields 14 and 15.
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        ticks.map(Result::unwrap).sum::<u64>() * 1000 / rustix::param::clock_ticks_per_second()
    }
}

impl Drop for Pushgateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the last push of a batch starts from.
pub(crate) struct Night {
    config: Config,
    totals: Totals,
}

impl Night {
    /// Runs some batches on the example strategies, and leaves what is pushed after the last in the folder.
    pub(crate) fn run(folder: &Path, port: u16) -> Self {
        let strategies = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/strategies/*.py");
        let text = format!(
            "data_dir = \"data\"\n\
             [strategies]\ninclude = [\"{}\"]\n\
             [[gateway]]\nurl = \"http://127.0.0.1:{port}\"\ngrouping = {{ instance = \"night-1\" }}\n",
            strategies.display()
        );
        let path = folder.join("agent.toml");
        write(&path, text.as_bytes());
        for _ in 0..NIGHTS {
            let mut run = Command::new(env!("CARGO_BIN_EXE_mutation-agent"));
            run.arg("--config").arg(&path).arg("run").current_dir(folder);
            let output = run.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let config =
            Config::load(&path, &Environment::read(None, None).unwrap(), Secrets::Needed).unwrap();
        let state = Store::new(&config.data_dir).look().unwrap().unwrap().unwrap();
        let night = Self { config, totals: state.totals };
        for (name, format) in [("body.protobuf", Format::Protobuf), ("body.text", Format::Text)] {
            let (families, grouping) = (night.families(), night.gateway().grouping());
            let moment = Moment::default();
            let body = Body::new(&families, format, Compression::None, grouping, &moment).unwrap();
            write(&folder.join(name), body.bytes());
        }
        night
    }

    /// The families, as each push of a batch makes them anew.
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        let gateways = self.config.gateways.iter().map(|gateway| gateway.name().to_owned());
        let series = BatchPlan::series(&self.config);
        Exposition::new(&self.totals).with_configured(series, gateways).gather()
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.config.gateways[0]
    }

    /// The same gateway, if it were elsewhere.
    pub(crate) fn gateway_at(&self, listener: &TcpListener) -> Gateway {
        let known = self.gateway();
        Gateway::new(GatewaySettings {
            name: known.name().to_owned(),
            url: format!("http://{}", listener.local_addr().unwrap()),
            grouping: known.grouping().clone(),
            format: known.format(),
            compression: known.compression(),
            credentials: known.credentials().clone(),
            tls: known.tls().clone(),
        })
        .unwrap()
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::File::create(path).and_then(|mut file| file.write_all(bytes)).unwrap();
}
