//! A real Pushgateway on a port of its own, killed when dropped.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub(crate) struct Pushgateway {
    child: Child,
    pub(crate) port: u16,
    /// Base URL of plain http, without the route prefix.
    pub(crate) url: String,
}

impl Pushgateway {
    /// Starts one with further arguments, on a port that is free.
    ///
    /// Version 1.5.1 does not tell which port it got for `:0`, so a free one is found first and another tried
    /// when someone was faster.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(gateway) = Self::start_on(port, arguments) {
                return gateway;
            }
        }
        panic!("no free port in ten tries");
    }

    /// Starts one on this port; none if it is taken.
    pub(crate) fn start_on(port: u16, arguments: &[&str]) -> Option<Self> {
        let mut child = Command::new("prometheus-pushgateway")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--persistence.file=")
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus-pushgateway must be installed");
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        // It says so after the port is open, and ends its log when it could not be opened.
        let mut seen = String::new();
        let listens = log.by_ref().map_while(Result::ok).any(|line| {
            seen += &(line + "\n");
            seen.contains("TLS is enabled") || seen.contains("TLS is disabled")
        });
        // A full pipe would stop it.
        std::thread::spawn(move || log.for_each(drop));
        let gateway = Self { child, port, url: format!("http://127.0.0.1:{port}") };
        if !listens {
            assert!(seen.contains("address already in use"), "it did not start:\n{seen}");
            return None;
        }
        Some(gateway)
    }

    /// `/metrics` below the base URL.
    pub(crate) async fn exposition(&self) -> String {
        let response = reqwest::get(format!("{}/metrics", self.url)).await.unwrap();
        assert_eq!(
            response.status(),
            200,
            "the gateway is broken: {}",
            response.text().await.unwrap()
        );
        response.text().await.unwrap()
    }

    /// The groups by their labels.
    pub(crate) async fn groups(&self) -> Vec<Group> {
        let client = reqwest::Client::new();
        groups(client.get(format!("{}/api/v1/metrics", self.url))).await
    }
}

impl Drop for Pushgateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One group as `/api/v1/metrics` shows it.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) labels: BTreeMap<String, String>,
    metrics: Value,
}

impl Group {
    /// The value of the only sample of `t_total`.
    pub(crate) fn total(&self) -> Option<&str> {
        self.metrics["t_total"]["metrics"][0]["value"].as_str()
    }

    pub(crate) fn has(&self, metric: &str) -> bool {
        self.metrics.get(metric).is_some()
    }
}

/// The groups that a request to `/api/v1/metrics` gets.
pub(crate) async fn groups(request: reqwest::RequestBuilder) -> Vec<Group> {
    let text = request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let Some(groups) = answer["data"].as_array() else { return Vec::new() };
    groups
        .iter()
        .map(|group| Group {
            labels: serde_json::from_value(group["labels"].clone()).unwrap(),
            metrics: group.clone(),
        })
        .collect()
}
