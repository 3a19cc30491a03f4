// SPDX-License-Identifier: MIT
//! The server of bench_http_server.cpp with hyper, and rustls for TLS, on one thread of tokio:
//! HTTP/1.1 and HTTP/2.
//!
//! usage: server PORT TLS_PORT FOLDER
use std::{env, fs, io, path::Path, sync::Arc};

use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{server::conn::Http, service::service_fn, Body, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{rustls, TlsAcceptor};
use tokio_util::io::ReaderStream;

async fn send_file(path: &Path) -> io::Result<Response<Body>> {
    let file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let body = Body::wrap_stream(ReaderStream::with_capacity(file, 65536));
    Ok(Response::builder().header(CONTENT_LENGTH, length).body(body).unwrap())
}

async fn reply(request: Request<Body>, folder: Arc<Path>) -> hyper::http::Result<Response<Body>> {
    let path = request.uri().path();
    if path == "/hello" {
        let head = Response::builder().header(CONTENT_TYPE, "text/plain; charset=utf-8");
        return head.body(Body::from("Hello, world\n"));
    }
    let name = Path::new(path).file_name().unwrap_or_default();
    match send_file(&folder.join(name)).await {
        Ok(found) => Ok(found),
        Err(_) => Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty()),
    }
}

/// Serves one connection to its end. An error ends only this connection.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, folder: Arc<Path>) {
    let service = service_fn(move |request| reply(request, folder.clone()));
    let _ = Http::new().with_executor(Local).serve_connection(stream, service).await;
}

/// Runs the streams of HTTP/2 on the thread that serves their connection.
#[derive(Clone)]
struct Local;

impl<F: std::future::Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async { drop(task.await) });
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn serve_plain(port: &str, folder: Arc<Path>) {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    loop {
        tokio::task::spawn_local(converse(accept(&listener).await, folder.clone()));
    }
}

async fn serve_tls(port: &str, folder: Arc<Path>) {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    let acceptor = TlsAcceptor::from(identity(&folder));
    loop {
        let (stream, folder) = (accept(&listener).await, folder.clone());
        let handshake = acceptor.accept(stream);
        tokio::task::spawn_local(async {
            if let Ok(secure) = handshake.await {
                converse(secure, folder).await;
            }
        });
    }
}

fn identity(folder: &Path) -> Arc<rustls::ServerConfig> {
    let read = |name| fs::read(folder.join("..").join(name)).unwrap();
    let certificates = rustls_pemfile::certs(&mut &read("chain.pem")[..]).unwrap();
    let mut keys = rustls_pemfile::pkcs8_private_keys(&mut &read("key.pem")[..]).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_safe_defaults()
        .with_no_client_auth()
        .with_single_cert(
            certificates.into_iter().map(rustls::Certificate).collect(),
            rustls::PrivateKey(keys.remove(0)),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

fn main() {
    let given: Vec<String> = env::args().collect();
    let folder: Arc<Path> = Path::new(&given[3]).into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let plain = serve_plain(&given[1], folder.clone());
    let secure = serve_tls(&given[2], folder);
    let both = futures_util::future::join(plain, secure);
    tokio::task::LocalSet::new().block_on(&runtime, both);
}
