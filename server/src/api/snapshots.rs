//! Snapshots: made, listed, handed out, removed, and collections recovered from them.
//!
//! Both ways an archive passes through in pieces: neither is ever in memory as a whole, and a caller that is slow holds up nobody.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::{Multipart, Path, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as Frames, Frame, SizeHint};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::blocking;
use super::body::Body;
use super::envelope::{Answer, ApiResult};
use super::error::ApiError;
use crate::dto::{RecoverSnapshot, SnapshotDescription, UploadParams};
use crate::store::{Archived, CollectionName, MAX_SNAPSHOT_BYTES, Restore, Store};

/// Pieces of an archive that wait for whoever is slower.
const PIECES: usize = 4;
/// Bytes of a piece that is handed out.
const PIECE_BYTES: usize = 256 << 10;
/// How long the next piece of an upload is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The form's field that holds the archive.
const FIELD: &str = "snapshot";

impl From<Archived> for SnapshotDescription {
    fn from(Archived { name, created, bytes, sha256 }: Archived) -> Self {
        SnapshotDescription { name, creation_time: created, size: bytes, checksum: sha256 }
    }
}

/// How a call restores: a collection of the name is replaced, as Qdrant does.
fn replacing(sha256: Option<&str>) -> Result<Restore<'_>, ApiError> {
    if let Some(found) = sha256.filter(|digits| digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(ApiError::WrongInput(format!("checksum {found:?}: expected SHA-256, 64 hexadecimal digits")));
    }
    Ok(Restore { limit: MAX_SNAPSHOT_BYTES, sha256, replace: true })
}

pub(super) async fn create(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
) -> ApiResult<SnapshotDescription> {
    blocking(move || Ok(Answer(store.snapshot(&name, &|_, _| ())?.into()))).await
}

pub(super) async fn list(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
) -> ApiResult<Vec<SnapshotDescription>> {
    blocking(move || Ok(Answer(store.snapshots(&name)?.into_iter().map(SnapshotDescription::from).collect()))).await
}

pub(super) async fn remove(
    State(store): State<Arc<Store>>,
    Path((name, archive)): Path<(String, String)>,
) -> ApiResult<bool> {
    blocking(move || Ok(Answer(store.remove_snapshot(&name, &archive).map(|()| true)?))).await
}

pub(super) async fn recover(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<RecoverSnapshot>,
) -> ApiResult<bool> {
    let name = CollectionName::new(&name)?;
    blocking(move || {
        store.recover(&name, &request.location, replacing(request.checksum.as_deref())?)?;
        Ok(Answer(true))
    })
    .await
}

pub(super) async fn download(
    State(store): State<Arc<Store>>,
    Path((name, archive)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (archived, file) = blocking(move || Ok(store.open_snapshot(&name, &archive)?)).await?;
    let (to, from) = channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut pieces = file.bytes().chunks(PIECE_BYTES).map(Bytes::copy_from_slice);
        // Whoever asked may have gone away.
        let _ = pieces.try_for_each(|piece| to.blocking_send(piece));
    });
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".into()),
        (CONTENT_LENGTH, archived.bytes.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", archived.name.replace(['"', '\\'], "_"))),
    ];
    Ok((headers, HttpBody::new(Outgoing { from, left: archived.bytes })).into_response())
}

/// An archive on its way out.
struct Outgoing {
    from: Receiver<Bytes>,
    left: u64,
}

impl Frames for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.from.poll_recv(context).map(|piece| {
            let piece = piece?;
            self.left = self.left.saturating_sub(piece.len() as u64);
            Some(Ok(Frame::data(piece)))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

pub(super) async fn upload(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Query(params): Query<UploadParams>,
    form: Result<Multipart, MultipartRejection>,
) -> ApiResult<bool> {
    let name = CollectionName::new(&name)?;
    let mut form = form.map_err(|error| {
        ApiError::WrongInput(format!(
            "{}: expected a form, multipart/form-data, with a file `{FIELD}`",
            error.body_text()
        ))
    })?;
    replacing(params.checksum.as_deref())?;
    let missing = || ApiError::WrongInput(format!("the form has no file `{FIELD}` (curl: -F '{FIELD}=@FILE')"));
    loop {
        let field = next(form.next_field()).await?.ok_or_else(missing)?;
        if field.name() != Some(FIELD) {
            continue;
        }
        let (to, from) = channel(PIECES);
        let restored = blocking(move || {
            let archive = Incoming { from, piece: Bytes::new(), whole: false };
            store.restore(&name, archive, replacing(params.checksum.as_deref())?)?;
            Ok(Answer(true))
        });
        // Both at once; what is wrong with the archive is said before what is wrong with the rest of it.
        let (restored, fed) = tokio::join!(restored, feed(field, to));
        return restored.and_then(|answer| fed.map(|()| answer));
    }
}

/// The next part of a form, if it comes soon enough.
async fn next<T>(part: impl Future<Output = Result<Option<T>, MultipartError>>) -> Result<Option<T>, ApiError> {
    match tokio::time::timeout(PATIENCE, part).await {
        Ok(part) => part.map_err(|error| ApiError::Body(error.body_text())),
        Err(_) => Err(ApiError::Timeout { seconds: PATIENCE.as_secs() }),
    }
}

/// What an upload sends to whoever unpacks it: pieces, and `None` once all are sent.
type Piece = Option<Bytes>;

/// Passes a file's pieces on, up to the end of it or of the other side's interest.
async fn feed(mut file: Field<'_>, to: Sender<Piece>) -> Result<(), ApiError> {
    loop {
        let piece = next(file.chunk()).await?;
        let last = piece.is_none();
        if to.send(piece).await.is_err() || last {
            return Ok(());
        }
    }
}

/// An archive on its way in, read by a thread that may block.
struct Incoming {
    from: Receiver<Piece>,
    piece: Bytes,
    whole: bool,
}

impl Read for Incoming {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.whole {
            match self.from.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => self.whole = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload was cut short")),
            }
        }
        let len = bytes.len().min(self.piece.len());
        bytes[..len].copy_from_slice(&self.piece.split_to(len));
        Ok(len)
    }
}
