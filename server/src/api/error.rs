//! [`ApiError`]: a call that fails, with the status and the words Qdrant has for it.

use std::io;

use axum::http::{Method, StatusCode};
use vicino_index::collection::{
    CheckpointError, CreateError, PointVectorsError, UpsertError, VectorNameError, WriteError,
};
use vicino_index::{ParamsError, PointId, SearchError, SpecError, VectorError};

use crate::store::{ArchiveError, NameError, RestoreError, SnapshotError, StoreError};

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The body asks for something that cannot be.
    #[error("Wrong input: {0}")]
    WrongInput(String),
    /// The body is not JSON, or not of the right shape.
    #[error("Format error in JSON body: {0}")]
    Format(String),
    /// A number out of its range.
    #[error("Validation error in JSON body: [{field}: {problem}]")]
    Validation {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// What stands behind the `?` is wrong.
    #[error("Wrong input: query parameters: {0}")]
    Params(String),
    /// No collection of this name.
    #[error("Not found: Collection `{0}` doesn't exist!")]
    NoCollection(String),
    /// No snapshot of this name.
    #[error("Not found: Snapshot `{0}` doesn't exist!")]
    NoSnapshot(String),
    /// No point of this id.
    #[error("Not found: Point with id {0} does not exist!")]
    NoPoint(PointId),
    /// The collection has no vector of this name.
    #[error("Wrong input: Not existing vector name error: {0}")]
    NoVector(String),
    /// There is a collection of this name.
    #[error("Wrong input: Collection `{0}` already exists!")]
    Exists(String),
    /// The body is not said to be JSON.
    #[error(
        "Wrong input: content type {found}, expected `application/json` (curl: -H 'Content-Type: application/json')"
    )]
    ContentType {
        /// What it is said to be.
        found: String,
    },
    /// The body is longer than is read.
    #[error("Wrong input: the body is larger than {max} bytes: send fewer points at a time")]
    TooLarge {
        /// Bytes that are read.
        max: usize,
    },
    /// The body did not arrive whole.
    #[error("Wrong input: the body could not be read: {0}")]
    Body(String),
    /// It took too long.
    #[error("Timeout: no answer within {seconds} s; a change that was begun is still finished")]
    Timeout {
        /// Seconds waited.
        seconds: u64,
    },
    /// No such route, or not with this method.
    #[error("Not found: {method} {path} is not served")]
    NoRoute {
        /// The method.
        method: Method,
        /// The path.
        path: String,
    },
    /// The disk is full.
    #[error("Out of disk space: {0}")]
    Full(String),
    /// The collection can only be read.
    #[error("Service unavailable: the collection is {0}")]
    ReadOnly(String),
    /// The collection cannot be opened.
    #[error("Service unavailable: {0}")]
    Damaged(String),
    /// It is our fault.
    #[error("Service internal error: {0}")]
    Internal(String),
}

impl ApiError {
    /// The HTTP status that goes with it.
    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::WrongInput(_)
            | ApiError::Format(_)
            | ApiError::Params(_)
            | ApiError::Body(_)
            | ApiError::NoVector(_) => StatusCode::BAD_REQUEST,
            ApiError::Validation { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            ApiError::NoCollection(_) | ApiError::NoSnapshot(_) | ApiError::NoPoint(_) | ApiError::NoRoute { .. } => {
                StatusCode::NOT_FOUND
            }
            ApiError::Exists(_) => StatusCode::CONFLICT,
            ApiError::ContentType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ApiError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            ApiError::ReadOnly(_) | ApiError::Damaged(_) => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Timeout { .. } => StatusCode::REQUEST_TIMEOUT,
            ApiError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A feature that Qdrant has and this server does not.
    pub fn unserved(what: &str) -> Self {
        ApiError::WrongInput(format!("{what} is not supported yet"))
    }
}

/// What is wrong with a vector, in Qdrant's words where it has some.
fn vector_problem(error: &VectorError) -> String {
    match error {
        VectorError::Dimension { expected, found } => {
            format!("Vector dimension error: expected dim: {expected}, got {found}")
        }
        other => other.to_string(),
    }
}

impl From<UpsertError> for ApiError {
    fn from(error: UpsertError) -> Self {
        ApiError::WrongInput(match error {
            UpsertError::Vectors { id, error: PointVectorsError::Vector { name, error } } if name.is_empty() => {
                format!("{} (point {id})", vector_problem(&error))
            }
            UpsertError::Vectors { id, error: PointVectorsError::Vector { name, error } } => {
                format!("{} (point {id}, vector `{name}`)", vector_problem(&error))
            }
            UpsertError::Vectors { id, error: PointVectorsError::Unknown { name } } => {
                format!("Not existing vector name error: {name} (point {id})")
            }
            other => other.to_string(),
        })
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Upsert(error) => error.into(),
            WriteError::Vector(error) => error.into(),
            WriteError::NoPoint { id } => ApiError::NoPoint(id),
            WriteError::TooLarge { .. } => ApiError::WrongInput(error.to_string()),
            WriteError::Full { .. } => ApiError::Full(error.to_string()),
            WriteError::ReadOnly { .. } => ApiError::ReadOnly(error.to_string()),
            other => ApiError::Internal(other.to_string()),
        }
    }
}

impl From<VectorNameError> for ApiError {
    fn from(error: VectorNameError) -> Self {
        match error {
            VectorNameError::Missing { name } => ApiError::NoVector(name),
            other => ApiError::WrongInput(other.to_string()),
        }
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Vector(error) => ApiError::WrongInput(vector_problem(&error)),
            SearchError::UnknownVector { name } => ApiError::NoVector(name),
            other => ApiError::WrongInput(other.to_string()),
        }
    }
}

impl From<SpecError> for ApiError {
    fn from(error: SpecError) -> Self {
        ApiError::Validation { field: "vectors", problem: error.to_string() }
    }
}

impl From<ParamsError> for ApiError {
    fn from(error: ParamsError) -> Self {
        ApiError::Validation { field: "hnsw_config", problem: error.to_string() }
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Length { .. } => ApiError::Validation { field: "collection_name", problem: error.to_string() },
            other => ApiError::WrongInput(other.to_string()),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Create { source: CreateError::Params(error), .. } => error.into(),
            StoreError::Io { ref source, .. } if is_full(source) => ApiError::Full(error.to_string()),
            other => ApiError::Internal(other.to_string()),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<CheckpointError> for ApiError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Io { ref source, .. } if is_full(source) => ApiError::Full(error.to_string()),
            CheckpointError::ReadOnly { .. } => ApiError::ReadOnly(error.to_string()),
            other => ApiError::Internal(other.to_string()),
        }
    }
}

impl From<SnapshotError> for ApiError {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::NoCollection(name) => ApiError::NoCollection(name),
            SnapshotError::NoSnapshot(name) => ApiError::NoSnapshot(name),
            SnapshotError::Damaged(why) => ApiError::Damaged(why),
            SnapshotError::Seal(error) => error.into(),
            SnapshotError::Store(error) => error.into(),
            SnapshotError::NoFolder => ApiError::WrongInput(error.to_string()),
        }
    }
}

impl From<RestoreError> for ApiError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Snapshot(error) => error.into(),
            RestoreError::Store(error) => error.into(),
            RestoreError::Exists(name) => ApiError::Exists(name.to_string()),
            RestoreError::Archive(ArchiveError::Write { ref source, .. }) => match is_full(source) {
                true => ApiError::Full(error.to_string()),
                false => ApiError::Internal(error.to_string()),
            },
            RestoreError::Decided { .. } => ApiError::Internal(error.to_string()),
            wrong => ApiError::WrongInput(wrong.to_string()),
        }
    }
}
