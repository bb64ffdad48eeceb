//! Answers the requests of the test registry.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, WWW_AUTHENTICATE,
};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Fault, RegistryAuth, Shared, State};
use crate::Digest;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;
type Answer = Response<Body>;

/// What a registry that speaks TLS shows.
pub struct Identity {
    /// For clients that are to trust it.
    pub certificate_pem: String,
    acceptor: TlsAcceptor,
}

impl Identity {
    /// A certificate of its own for loopback.
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])
            .expect("the names are good");
        let key =
            rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let config =
            rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()
                .and_then(|c| c.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
                .expect("key and certificate fit");
        Self { certificate_pem: made.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

/// Takes connections until it is dropped.
pub async fn forever(listener: TcpListener, identity: Option<Identity>, shared: Arc<Shared>) {
    let acceptor = identity.map(|identity| identity.acceptor);
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, acceptor) = (shared.clone(), acceptor.clone());
        connections.spawn(async move {
            // A client that hangs up, or a fault of ours, is no news.
            match acceptor {
                None => serve(stream, shared).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = hyper::service::service_fn(move |request| answer(shared.clone(), request));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    let range = header(&request, RANGE);
    let refusal = {
        let mut state = shared.state.lock();
        let range = range.as_deref().unwrap_or_default();
        state.requests.push(format!("{} {path} {range}", request.method()).trim_end().to_owned());
        if path == "/token" { Some(state.token(&request)) } else { state.refuse(&request) }
    };
    if let Some(refusal) = refusal {
        return Ok(refusal);
    }
    let Some(rest) = path.strip_prefix("/v2/") else {
        return Ok(error(StatusCode::NOT_FOUND, "NAME_UNKNOWN"));
    };
    if let Some((repository, wanted)) = rest.split_once("/manifests/") {
        return Ok(shared.state.lock().manifest(repository, wanted));
    }
    if let Some((_, digest)) = rest.split_once("/blobs/") {
        return Ok(blob(&shared, digest, range.as_deref()).await);
    }
    Ok(whole(StatusCode::OK, b"{}".to_vec()))
}

impl State {
    /// The answer to a request that gets no further.
    fn refuse(&mut self, request: &Request<Incoming>) -> Option<Answer> {
        let unavailable = self.faults.iter_mut().find_map(|fault| match fault {
            Fault::Unavailable { times } if *times > 0 => Some(times),
            _ => None,
        });
        if let Some(times) = unavailable {
            *times -= 1;
            return Some(error(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"));
        }
        let given = header(request, AUTHORIZATION).unwrap_or_default();
        let challenge = match &self.auth {
            None => return None,
            Some(RegistryAuth::Basic(user, password)) => {
                if given == basic(user, password) {
                    return None;
                }
                "Basic realm=\"test\"".to_owned()
            }
            Some(RegistryAuth::Token { .. }) => {
                if let Some(uses) = given.strip_prefix("Bearer ").and_then(|token| self.tokens.get_mut(token))
                    && *uses > 0
                {
                    *uses -= 1;
                    return None;
                }
                let host = header(request, http::header::HOST).unwrap_or_default();
                format!("Bearer realm=\"http://{host}/token\",service=\"test\"")
            }
        };
        let mut refusal = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
        refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().expect("a header"));
        Some(refusal)
    }

    fn token(&mut self, request: &Request<Incoming>) -> Answer {
        let Some(RegistryAuth::Token { user, uses }) = self.auth.clone() else {
            return error(StatusCode::NOT_FOUND, "UNSUPPORTED");
        };
        let query = request.uri().query().unwrap_or_default();
        if !query.contains("scope=repository%3A") || !query.contains("service=test") {
            return error(StatusCode::BAD_REQUEST, "UNSUPPORTED");
        }
        let given = header(request, AUTHORIZATION);
        if user.is_some_and(|(name, password)| given != Some(basic(&name, &password))) {
            return error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
        }
        self.tokens_made += 1;
        let token = format!("token-{}", self.tokens_made);
        self.tokens.insert(token.clone(), uses);
        whole(StatusCode::OK, format!("{{\"token\":\"{token}\"}}").into_bytes())
    }

    fn manifest(&self, repository: &str, wanted: &str) -> Answer {
        let separator = if wanted.contains(':') { '@' } else { ':' };
        let Some((media_type, content)) = self.manifests.get(&format!("{repository}{separator}{wanted}"))
        else {
            return error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN");
        };
        let mut content = content.clone();
        for fault in &self.faults {
            if let Fault::HugeManifests(bytes) = fault {
                content.resize(*bytes, b' ');
            }
        }
        let mut answer = whole(StatusCode::OK, content);
        answer.headers_mut().insert(CONTENT_TYPE, media_type.parse().expect("a header"));
        answer
    }

    /// How many bytes of a blob of `length` bytes are sent before the connection breaks.
    fn cut(&mut self, length: usize) -> Option<usize> {
        self.faults.iter_mut().find_map(|fault| match fault {
            Fault::CutBlobs { bytes, times } if *times > 0 && length > *bytes => {
                *times -= 1;
                Some(*bytes)
            }
            _ => None,
        })
    }
}

async fn blob(shared: &Shared, digest: &str, range: Option<&str>) -> Answer {
    let delay = shared.state.lock().faults.iter().find_map(|fault| match fault {
        Fault::DelayBlobs(delay) => Some(*delay),
        _ => None,
    });
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    let is_held =
        || shared.state.lock().faults.iter().any(|f| matches!(f, Fault::HoldBlob(d) if d.as_str() == digest));
    let _ = shared.mended.subscribe().wait_for(|()| !is_held()).await;
    let mut state = shared.state.lock();
    let found = digest.parse::<Digest>().ok().and_then(|digest| state.blobs.get(&digest).cloned());
    let Some(mut content) = found else { return error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN") };
    let mut offset = range.and_then(first_byte);
    let mut long = false;
    for fault in &mut state.faults {
        match fault {
            Fault::RedirectBlob { digest: moved, to, times } if moved.as_str() == digest && *times > 0 => {
                *times -= 1;
                return redirect(to);
            }
            Fault::RedirectBlobs(to) => return redirect(&format!("{to}{digest}")),
            Fault::WrongBlobs => content[0] ^= 1,
            Fault::LongBlobs => long = true,
            Fault::IgnoreRanges => offset = None,
            _ => {}
        }
    }
    if long {
        content.push(0);
    }
    if offset.is_some_and(|offset| offset >= content.len()) {
        return error(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID");
    }
    let rest = content[offset.unwrap_or(0)..].to_vec();
    let mut answer = match state.cut(rest.len()) {
        Some(bytes) => broken(rest, bytes),
        None if long => broken(rest.clone(), rest.len()),
        None => whole(StatusCode::OK, rest),
    };
    if let Some(offset) = offset {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {offset}-{}/{}", content.len() - 1, content.len());
        answer.headers_mut().insert(CONTENT_RANGE, range.parse().expect("a header"));
    }
    answer
}

fn header(request: &Request<Incoming>, name: http::HeaderName) -> Option<String> {
    request.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn first_byte(range: &str) -> Option<usize> {
    range.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}

fn whole(status: StatusCode, content: Vec<u8>) -> Answer {
    let length = content.len();
    let body = Full::new(Bytes::from(content)).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    answer
}

fn error(status: StatusCode, code: &str) -> Answer {
    let message = code.to_lowercase().replace('_', " ");
    whole(status, format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"{message}\"}}]}}").into_bytes())
}

fn redirect(to: &str) -> Answer {
    let mut answer = whole(StatusCode::TEMPORARY_REDIRECT, Vec::new());
    answer.headers_mut().insert(LOCATION, to.parse().expect("a header"));
    answer
}

/// States the whole length, sends `bytes` bytes and breaks the connection.
fn broken(content: Vec<u8>, bytes: usize) -> Answer {
    let length = content.len();
    let sent = Ok(Frame::data(Bytes::from(content).slice(..bytes)));
    let end = (bytes < length).then(|| Err(std::io::Error::other("the test wants it so")));
    let frames = futures_util::stream::iter(std::iter::once(sent).chain(end));
    // Without the pause, the connection would break before the bytes are on their way.
    let frames = futures_util::StreamExt::then(frames, |frame| async move {
        if frame.is_err() {
            tokio::task::yield_now().await;
        }
        frame
    });
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    if bytes < length {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    answer
}
