//! Bodies that make and describe payload indexes.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vicino_index::filter::{FieldType, TextOptions, Tokenizer, TokenizerKind};

use super::Unserved;

/// `PUT /collections/{name}/index`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateIndex {
    /// Which part of payloads.
    pub field_name: String,
    /// What its values are.
    pub field_schema: FieldSchema,
}

/// The type of an index, by its name or with its settings.
#[derive(Debug, Clone)]
pub enum FieldSchema {
    /// By default settings.
    Name(FieldKind),
    /// With settings.
    Params(FieldParams),
}

impl<'de> Deserialize<'de> for FieldSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let schema = match value {
            Value::String(_) => FieldKind::deserialize(value).map(FieldSchema::Name),
            other => FieldParams::deserialize(other).map(FieldSchema::Params),
        };
        schema.map_err(|error| D::Error::custom(format!("field_schema: {error}")))
    }
}

/// The types, by Qdrant's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// Strings.
    Keyword,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Places.
    Geo,
    /// Texts.
    Text,
    /// Truth values.
    Bool,
    /// Moments.
    Datetime,
    /// UUIDs.
    Uuid,
}

/// Settings of an index. Those that only say what it is used for are taken as hints that are not needed: every index answers all that its
/// type can.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldParams {
    /// The type.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// Of texts: where words end.
    #[serde(default)]
    pub tokenizer: Option<TokenizerIn>,
    /// Of texts: characters of a word at least.
    #[serde(default)]
    pub min_token_len: Option<usize>,
    /// Of texts: characters of a word at most.
    #[serde(default)]
    pub max_token_len: Option<usize>,
    /// Of texts: whether case is ignored; absent: yes.
    #[serde(default)]
    pub lowercase: Option<bool>,
    /// Of texts: whether the order of words is kept.
    #[serde(default)]
    pub phrase_matching: Option<bool>,
    /// A hint.
    #[serde(default)]
    pub lookup: Option<bool>,
    /// A hint.
    #[serde(default)]
    pub range: Option<bool>,
    /// A hint.
    #[serde(default)]
    pub prefix: Option<bool>,
    /// A hint.
    #[serde(default)]
    pub is_tenant: Option<bool>,
    /// A hint.
    #[serde(default)]
    pub is_principal: Option<bool>,
    /// A hint: graphs are the same whatever is indexed.
    #[serde(default)]
    pub enable_hnsw: Option<bool>,
    /// Not served yet: indexes are kept in memory.
    #[serde(default)]
    pub on_disk: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub memory: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub ascii_folding: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub stopwords: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub stemmer: Unserved,
}

/// Where words end, by Qdrant's names; `multilingual` is not served yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerIn {
    /// Words, found by their beginnings.
    Prefix,
    /// At white space.
    Whitespace,
    /// At whatever is no letter or digit.
    Word,
}

impl FieldSchema {
    /// The type of an index, or which setting does not go with it.
    pub fn of(&self) -> Result<FieldType, &'static str> {
        let (kind, params) = match self {
            FieldSchema::Name(kind) => (*kind, None),
            FieldSchema::Params(params) => (params.kind, Some(params)),
        };
        let of_text = params.is_some_and(|params| {
            params.tokenizer.is_some()
                || params.min_token_len.or(params.max_token_len).is_some()
                || params.lowercase.or(params.phrase_matching).is_some()
        });
        if of_text && kind != FieldKind::Text {
            return Err("settings of texts with another type");
        }
        Ok(match kind {
            FieldKind::Keyword => FieldType::Keyword,
            FieldKind::Integer => FieldType::Integer,
            FieldKind::Float => FieldType::Float,
            FieldKind::Geo => FieldType::Geo,
            FieldKind::Bool => FieldType::Bool,
            FieldKind::Datetime => FieldType::Datetime,
            FieldKind::Uuid => FieldType::Uuid,
            FieldKind::Text => FieldType::Text(params.map_or_else(TextOptions::default, FieldParams::text)),
        })
    }
}

impl FieldParams {
    fn text(&self) -> TextOptions {
        let default = Tokenizer::default();
        let kind = match self.tokenizer {
            None | Some(TokenizerIn::Word) => TokenizerKind::Word,
            Some(TokenizerIn::Prefix) => TokenizerKind::Prefix,
            Some(TokenizerIn::Whitespace) => TokenizerKind::Whitespace,
        };
        let tokenizer = Tokenizer {
            kind,
            lowercase: self.lowercase.unwrap_or(default.lowercase),
            min_len: self.min_token_len.unwrap_or(default.min_len),
            max_len: self.max_token_len.unwrap_or(default.max_len),
        };
        TextOptions { tokenizer, phrases: self.phrase_matching.unwrap_or(false) }
    }
}

/// An index, in the description of a collection.
#[derive(Debug, Serialize)]
pub struct IndexInfo {
    /// The type of its values.
    pub data_type: &'static str,
    /// How texts are divided, of an index of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<TextInfo>,
    /// Points that have a value there.
    pub points: usize,
}

/// How texts are divided.
#[derive(Debug, Serialize)]
pub struct TextInfo {
    #[serde(rename = "type")]
    kind: &'static str,
    tokenizer: TokenizerIn,
    lowercase: bool,
    min_token_len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_token_len: Option<usize>,
    phrase_matching: bool,
}

impl IndexInfo {
    /// Of an index of that type over so many points.
    pub fn new(of: FieldType, points: usize) -> Self {
        let params = match of {
            FieldType::Text(TextOptions { tokenizer, phrases }) => Some(TextInfo {
                kind: of.name(),
                tokenizer: match tokenizer.kind {
                    TokenizerKind::Word => TokenizerIn::Word,
                    TokenizerKind::Whitespace => TokenizerIn::Whitespace,
                    TokenizerKind::Prefix => TokenizerIn::Prefix,
                },
                lowercase: tokenizer.lowercase,
                min_token_len: tokenizer.min_len,
                max_token_len: Some(tokenizer.max_len).filter(|&len| len < usize::MAX),
                phrase_matching: phrases,
            }),
            _ => None,
        };
        IndexInfo { data_type: of.name(), params, points }
    }
}
