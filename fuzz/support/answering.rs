//! A gateway that answers whatever it is told, on a real socket, and a client that pushes to it.

use mutation_agent::gateway::{
    Body, Client, Compression, Credentials, Format, Gateway, GatewaySettings, GroupingKey, Moment,
    Outcome, Tls,
};
use mutation_agent::metrics::{Buckets, Exposition, Totals};
use mutation_agent::units::{Secret, Timestamp};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The client's token. Long, so that a text with it blacked out is shorter.
pub(crate) const SECRET: &str = "hunter2-hunter2";

/// For an attempt, and for a delivery whose gateway may ask for more.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

thread_local! {
    /// One for each thread.
    pub(crate) static HOUSE: House = House::new();
}

/// A gateway and its client, on one thread, so that the same answer goes the same way again.
pub(crate) struct House {
    runtime: Runtime,
    listener: TcpListener,
    pub(crate) client: Client,
    pub(crate) body: Body,
}

impl House {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let gateway = Gateway::new(GatewaySettings {
            name: "main".into(),
            url: format!("http://{}", listener.local_addr().unwrap()),
            grouping: GroupingKey::new("job", &[], &[]).unwrap(),
            format: Format::Text,
            compression: Compression::None,
            credentials: Credentials::Bearer { token: Secret::new(SECRET.into()) },
            tls: Tls::default(),
        });
        let client = Client::new(gateway.unwrap(), || Timestamp::from_micros(0)).unwrap();
        let totals = Totals::new(Buckets::default());
        let families = Exposition::new(&totals).gather();
        let body = client.gateway().body(&families, &Moment::default()).unwrap();
        Self { runtime, listener, client, body }
    }

    /// One attempt that is answered so.
    pub(crate) fn attempt(&self, answer: &[u8]) -> Outcome {
        self.answered(self.client.attempt(&self.body, LIMIT), answer)
    }

    /// What comes of a push whose one request is answered so.
    pub(crate) fn answered<T>(&self, push: impl Future<Output = T>, answer: &[u8]) -> T {
        let both = async { tokio::join!(push, self.answer(answer)).0 };
        let end = self.runtime.block_on(async { tokio::time::timeout(2 * LIMIT, both).await });
        end.expect("a push that is answered ends")
    }

    /// Takes a request, answers, ends the connection, and waits until the client has done so too.
    async fn answer(&self, answer: &[u8]) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut request = Vec::new();
        let is_whole = |request: &[u8]| request.ends_with(self.body.bytes());
        while !is_whole(&request) && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
        // The client may have seen enough at any moment.
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
        while stream.read(&mut [0; 1024]).await.unwrap_or(0) > 0 {}
    }
}
