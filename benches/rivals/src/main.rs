//! The push of the prometheus crate, as a rival of benches/push/rival.rs.

use prometheus::proto::MetricFamily;
use protobuf::{CodedInputStream, Message as _};
use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, base, job, instance, folder] = std::env::args()
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "BASE_URL JOB INSTANCE FOLDER")?;
    let families = families(&std::fs::read(Path::new(&folder).join("body.protobuf"))?)?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let mut times = Vec::new();
        for _ in 0..line?.parse::<usize>()? {
            // What it takes by value is made before the clock starts.
            let (families, grouping) =
                (families.clone(), HashMap::from([("instance".to_owned(), instance.clone())]));
            let started = Instant::now();
            prometheus::push_metrics(&job, grouping, &base, families, None)?;
            times.push(started.elapsed().as_nanos() as u64);
        }
        writeln!(out, "{}", serde_json::to_string(&times)?)?;
    }
    Ok(())
}

fn families(bytes: &[u8]) -> Result<Vec<MetricFamily>, protobuf::Error> {
    let mut stream = CodedInputStream::from_bytes(bytes);
    let mut families = Vec::new();
    while !stream.eof()? {
        let length = stream.read_raw_varint64()?;
        let end = stream.push_limit(length)?;
        families.push(MetricFamily::parse_from_reader(&mut stream)?);
        stream.pop_limit(end);
    }
    Ok(families)
}
