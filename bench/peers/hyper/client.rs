// SPDX-License-Identifier: MIT
//! The cases of bench_http.cpp with hyper, and rustls for TLS, on one thread of tokio.
//!
//! usage: client small|large|idle URL [FOLDER] [CA]
use std::{env, fs, future::Future, io::Write, mem, time::Duration, time::Instant};

use futures_util::{future, StreamExt};
use hyper::client::{Client, HttpConnector};
use hyper::{Body, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use tokio_rustls::rustls;

const BATCHES: usize = 15;
const BATCH: usize = 1000;
const AT_ONCE: usize = 16;
const FILES: usize = 4;
const IDLE_CONNECTIONS: usize = 400;

type Hyper = Client<HttpsConnector<HttpConnector>>;

/// Milliseconds of processor time that this process has used.
fn cpu() -> f64 {
    let mut used: libc::rusage = unsafe { mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut used) };
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
    ms(used.ru_utime) + ms(used.ru_stime)
}

/// Bytes of memory that this process has, without what the allocator can give back.
fn resident() -> f64 {
    unsafe { libc::malloc_trim(0) };
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

/// Milliseconds of the clock and of the processor that some work takes.
async fn measured(work: impl Future<Output = ()>) -> (f64, f64) {
    let (wall, used) = (Instant::now(), cpu());
    work.await;
    (wall.elapsed().as_secs_f64() * 1e3, cpu() - used)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn begin(client: &Hyper, url: &Uri) -> Response<Body> {
    let response = client.get(url.clone()).await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

async fn get(client: &Hyper, url: &Uri, count: usize) {
    for _ in 0..count {
        let body = hyper::body::to_bytes(begin(client, url).await.into_body()).await.unwrap();
        assert_eq!(body.len(), 4096);
    }
}

async fn one_batch(client: &Hyper, url: &Uri) {
    let counts = (0..AT_ONCE).map(|i| (i..BATCH).step_by(AT_ONCE).count());
    future::join_all(counts.map(|count| get(client, url, count))).await;
}

async fn small(client: &Hyper, url: &Uri) {
    one_batch(client, url).await; // opens the connections
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..BATCHES {
        let (wall, used) = measured(one_batch(client, url)).await;
        walls.push(wall);
        cpus.push(used);
    }
    println!("{{\"wall\": {:.3}, \"cpu\": {:.3}}}", median(walls), median(cpus));
}

async fn save(client: &Hyper, url: &Uri, path: String) {
    let mut body = begin(client, url).await.into_body();
    let mut file = fs::File::create(path).unwrap();
    while let Some(piece) = body.next().await {
        file.write_all(&piece.unwrap()).unwrap();
    }
}

async fn large(client: &Hyper, url: &Uri, folder: &str) {
    let saves = (0..FILES).map(|i| save(client, url, format!("{folder}/hyper-{i}")));
    let all = async { drop(future::join_all(saves).await) };
    let (wall, used) = measured(all).await;
    println!("{{\"wall\": {wall:.3}, \"cpu\": {used:.3}}}");
}

async fn idle(client: &Hyper, url: &Uri) {
    get(client, url, 1).await;
    let before = resident();
    future::join_all((0..IDLE_CONNECTIONS).map(|_| get(client, url, 1))).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let grown = (resident() - before) / IDLE_CONNECTIONS as f64;
    println!("{{\"bytes\": {grown:.0}, \"connections\": {IDLE_CONNECTIONS}}}");
}

/// A client that keeps all connections and trusts the authority of a file, if there is one.
fn make_client(authority: Option<&String>) -> Hyper {
    let mut trusted = rustls::RootCertStore::empty();
    if let Some(path) = authority {
        let pem = fs::read(path).unwrap();
        trusted.add_parsable_certificates(&rustls_pemfile::certs(&mut &pem[..]).unwrap());
    }
    let config = rustls::ClientConfig::builder()
        .with_safe_defaults()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    let is_http2 = env::var_os("HTTP2").is_some();
    let connector = match is_http2 {
        true => builder.enable_http2().wrap_connector(http),
        false => builder.enable_http1().wrap_connector(http),
    };
    Client::builder().http2_only(is_http2).build(connector)
}

fn main() {
    let given: Vec<String> = env::args().collect();
    let url: Uri = given[2].parse().unwrap();
    let client = make_client(given.last().filter(|last| last.ends_with(".pem")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match given[1].as_str() {
            "small" => small(&client, &url).await,
            "large" => large(&client, &url, &given[3]).await,
            _ => idle(&client, &url).await,
        }
    });
}
