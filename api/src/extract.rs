//! Reading requests: every field at fault is named, with what it must be.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query as AxumQuery, RawPathParams, Request},
    http::{HeaderValue, StatusCode, header, request::Parts},
};
use chrono::{DateTime, Datelike, Utc};
use domain::{FanId, name::is_one_line};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use crate::{
    error::{ApiError, FieldError, Kind},
    json,
    reading::{self, Fault, cut},
};

/// The most that a JSON body may have, in bytes.
pub(crate) const MAX_BODY: usize = 256 << 10;

/// So many fields at fault are named, at most.
const MOST_ERRORS: usize = 100;

/// The longest web address, in characters as it is sent.
const MAX_URL: usize = 2_048;

/// The ids in a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let refused = match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(ids)) => return Ok(Self(ids)),
            Err(refused) => refused,
        };
        let unreadable = || {
            ApiError::new(Kind::MALFORMED_REQUEST, format!("the path cannot be read: {refused}"))
        };
        let raw =
            RawPathParams::from_request_parts(parts, state).await.map_err(|_| unreadable())?;
        // Whatever the Hub did not make does not exist.
        if raw.iter().any(|(name, value)| name == "id" && Uuid::parse_str(value).is_err()) {
            return Err(ApiError::not_found());
        }
        // The ids that a platform makes all follow one rule.
        let faults: Vec<_> = raw
            .iter()
            .filter(|(name, _)| *name != "id")
            .filter_map(|(name, value)| {
                Some(FieldError::new(name, value.parse::<FanId>().err()?.to_string()))
            })
            .collect();
        Err(if faults.is_empty() { unreadable() } else { ApiError::invalid(faults) })
    }
}

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: FromFields + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let AxumQuery(pairs) = AxumQuery::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::new(Kind::MALFORMED_REQUEST, error.body_text()))?;
        let mut values = Map::new();
        for (name, value) in pairs {
            if values.contains_key(&name) {
                let text = format!("`{name}` stands twice in the query; name each parameter once");
                return Err(ApiError::new(Kind::DUPLICATE_FIELD, text));
            }
            values.insert(name, Value::String(value));
        }
        let path = parts.uri.path();
        let list = if path.starts_with("/v1/") { path.to_owned() } else { String::new() };
        Fields { list, ..Fields::new(values, true) }.read().map(Self)
    }
}

/// A JSON object as the body. An empty body is an empty object.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: FromFields, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .map(str::to_owned);
        let body = bytes(request, MAX_BODY).await?;
        let json = kind.as_deref().is_none_or(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
                || kind.to_ascii_lowercase().ends_with("+json")
        });
        if !body.is_empty() && !json {
            return Err(ApiError::new(
                Kind::MALFORMED_REQUEST,
                "send the body as `Content-Type: application/json`",
            ));
        }
        object(&body).and_then(|values| Fields::new(values, false).read()).map(Self)
    }
}

/// A body's bytes, up to a limit.
pub(crate) async fn bytes(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let packed = request.headers().get(header::CONTENT_ENCODING);
    if packed.is_some_and(|packed| !packed.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let text = "send the body as it is, without `Content-Encoding`";
        return Err(ApiError::new(Kind::MALFORMED_REQUEST, text));
    }
    match axum::body::to_bytes(request.into_body(), limit).await {
        Ok(body) => Ok(body),
        Err(error) => {
            let too_large = std::error::Error::source(&error)
                .is_some_and(|source| source.to_string().contains("length limit"));
            Err(if too_large {
                ApiError::new(
                    Kind::TOO_LARGE,
                    format!("the body may have at most {} KiB; send less at a time", limit >> 10),
                )
            } else {
                ApiError::new(Kind::MALFORMED_REQUEST, "the body broke off; send the request again")
            })
        }
    }
}

/// Reads a JSON object; nothing at all is an empty one.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match value(body)? {
        Value::Object(values) => Ok(values),
        _ => Err(ApiError::new(Kind::MALFORMED_JSON, "the body must be a JSON object")),
    }
}

/// Reads JSON.
pub(crate) fn value(body: &[u8]) -> Result<Value, ApiError> {
    match json::read(body) {
        Ok(value) => Ok(value),
        // The one thing that JSON allows and this does not.
        Err(error) if error.is_data() => {
            Err(ApiError::new(Kind::DUPLICATE_FIELD, format!("{error}; name each field once")))
        }
        Err(error) => Err(ApiError::new(
            Kind::MALFORMED_JSON,
            format!(
                "the body is not JSON in UTF-8: {}; correct it and send it again",
                broken(&error)
            ),
        )),
    }
}

/// Where a text ceases to be JSON.
fn broken(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.is_eof() {
        format!("it ends too early, at {place}")
    } else {
        format!("it breaks off at {place}")
    }
}

/// What is read out of named fields.
pub(crate) trait FromFields: Sized {
    /// `None` where a field is at fault; which one is kept in `fields`.
    fn from_fields(fields: &mut Fields) -> Option<Self>;
}

/// Nothing: any field is one too many.
pub(crate) struct Nothing;

impl FromFields for Nothing {
    fn from_fields(_: &mut Fields) -> Option<Self> {
        Some(Self)
    }
}

/// Named values that are taken one by one. Whatever is at fault is gathered, and so is what nobody took.
pub(crate) struct Fields {
    values: Map<String, Value>,
    /// The values are texts of a query, where numbers and flags are written out.
    texts: bool,
    /// The path of the call that a query belongs to; empty on pages, whose parts have paths of their own.
    list: String,
    errors: Vec<FieldError>,
}

impl Fields {
    fn new(values: Map<String, Value>, texts: bool) -> Self {
        Self { values, texts, list: String::new(), errors: vec![] }
    }

    /// Reads a whole object.
    pub(crate) fn of_object<T: FromFields>(values: Map<String, Value>) -> Result<T, ApiError> {
        Self::new(values, false).read()
    }

    fn read<T: FromFields>(mut self) -> Result<T, ApiError> {
        let read = T::from_fields(&mut self);
        let unknown = self.values.keys().map(|name| FieldError::new(cut(name), reading::UNKNOWN));
        self.errors.extend(unknown);
        self.errors.truncate(MOST_ERRORS);
        match read {
            Some(read) if self.errors.is_empty() => Ok(read),
            Some(_) | None => Err(ApiError::invalid(self.errors)),
        }
    }

    /// Which list a cursor belongs to.
    pub(crate) fn list(&self) -> &str {
        &self.list
    }

    pub(crate) fn fault(&mut self, field: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(field, detail));
    }

    /// A field that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        if let Some(value) = self.values.remove(name) {
            self.parse(name, &value)
        } else {
            self.fault(name, reading::MISSING);
            None
        }
    }

    /// A field that may be missing, or null. The outer `None` means that it is there and at fault.
    #[expect(clippy::option_option, reason = "at fault and missing are two answers")]
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Option<Option<T>> {
        match self.values.remove(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => self.parse(name, &value).map(Some),
        }
    }

    /// A time that may be missing, or null. Years beyond these are mistakes, and RFC 3339 has none beyond 9999.
    #[expect(clippy::option_option, reason = "at fault and missing are two answers")]
    pub(crate) fn time(&mut self, name: &str) -> Option<Option<DateTime<Utc>>> {
        let Some(text) = self.optional::<String>(name)? else { return Some(None) };
        let Ok(time) = DateTime::parse_from_rfc3339(&text) else {
            let in_query = if self.texts { "; in a query `+` is written `%2B`" } else { "" };
            let must = "must be a time with its zone, such as 2027-01-31T12:00:00Z";
            self.fault(name, format!("{must}{in_query}"));
            return None;
        };
        let time = time.to_utc();
        if !(1970..=9999).contains(&time.year()) {
            self.fault(name, "must be a time from 1970 to 9999");
            return None;
        }
        Some(Some(time))
    }

    /// A web address that may be missing, or null.
    #[expect(clippy::option_option, reason = "at fault and missing are two answers")]
    pub(crate) fn web_address(&mut self, name: &str) -> Option<Option<Url>> {
        let Some(text) = self.optional::<String>(name)? else { return Some(None) };
        if text.len() > MAX_URL {
            self.fault(name, format!("may have at most {MAX_URL} characters"));
            return None;
        }
        let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        if url.is_none() {
            self.fault(name, "must be a whole http or https URL without a password, such as https://example.com/back");
        }
        url.map(Some)
    }

    /// All fields together, as one value; what is at fault is told under `name`.
    pub(crate) fn whole<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let values = Value::Object(std::mem::take(&mut self.values));
        self.taken(reading::read(&values, self.texts), |fault| {
            Some(fault.field_below(""))
                .filter(|field| !field.is_empty())
                .unwrap_or_else(|| name.to_owned())
        })
    }

    /// A text that may be missing; anything else counts as missing too.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.values.remove(name) {
            Some(Value::String(text)) => Some(text),
            Some(_) | None => None,
        }
    }

    /// A text of one line that may be missing, or null.
    #[expect(clippy::option_option, reason = "at fault and missing are two answers")]
    pub(crate) fn one_line(&mut self, name: &str, longest: usize) -> Option<Option<String>> {
        let text = self.optional::<String>(name)?;
        let fits = |text: &String| text.chars().count() <= longest && is_one_line(text);
        if text.as_ref().is_some_and(|text| !fits(text)) {
            let must = "characters, without line breaks or control characters";
            self.fault(name, format!("may be at most {longest} {must}"));
            return None;
        }
        Some(text)
    }

    /// Takes every field that is left as not meant for the Hub.
    pub(crate) fn ignore_the_rest(&mut self) {
        self.values.clear();
    }

    fn parse<T: DeserializeOwned>(&mut self, name: &str, value: &Value) -> Option<T> {
        self.taken(reading::read(value, self.texts), |fault| fault.field_below(name))
    }

    /// What was read, or its fault under a field's name.
    fn taken<T>(&mut self, read: Result<T, Fault>, field: impl Fn(&Fault) -> String) -> Option<T> {
        read.map_err(|fault| self.fault(&field(&fault), fault.detail)).ok()
    }
}

/// The `If-Match` of a write: the stream version that it is meant for.
pub(crate) struct IfMatch(pub(crate) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.headers.get(header::IF_MATCH).map_or(Ok(Self(None)), Self::read)
    }
}

impl IfMatch {
    /// What the header says.
    pub(crate) fn read(value: &HeaderValue) -> Result<Self, ApiError> {
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let version = text.trim_start_matches("W/").trim_matches('"').parse();
        version.map(|version| Self(Some(version))).map_err(|_| {
            ApiError::new(
                Kind::MALFORMED_REQUEST,
                "If-Match must be an ETag of this integration, for example \"3\"",
            )
        })
    }

    /// Refuses a write that was meant for another version.
    pub(crate) fn check(&self, version: u64) -> Result<(), ApiError> {
        match self.0 {
            Some(wanted) if wanted != version => Err(ApiError::new(
                Kind::PRECONDITION_FAILED,
                format!(
                    "the integration is at version {version} by now; read it again and repeat the change"
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// Paths and methods that do not exist.
pub(crate) async fn unrouted() -> ApiError {
    ApiError::not_found()
}

pub(crate) async fn wrong_method() -> ApiError {
    ApiError::new(Kind::NOT_FOUND, "this path takes other methods; /docs shows which")
}

/// A status that is answered without a body.
pub(crate) const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Sample;

    impl FromFields for Sample {
        fn from_fields(fields: &mut Fields) -> Option<Self> {
            let fan = fields.required::<FanId>("fan");
            let version = fields.required::<u64>("version");
            let note = fields.optional::<String>("note");
            fan?;
            version?;
            note?;
            Some(Self)
        }
    }

    fn faults(values: Value) -> Vec<String> {
        let Value::Object(values) = values else { panic!("an object") };
        let refused = Fields::of_object::<Sample>(values).map(|_| ()).unwrap_err();
        refused.errors().iter().map(|error| error.field.clone()).collect()
    }

    #[test]
    fn every_field_at_fault_is_named() {
        assert_eq!(faults(json!({})), ["fan", "version"]);
        assert_eq!(
            faults(json!({ "fan": "a b", "version": "1", "nte": 1 })),
            ["fan", "version", "nte"]
        );
        assert_eq!(faults(json!({ "fan": "ada", "version": 1, "note": 5 })), ["note"]);
    }

    #[test]
    fn a_query_s_numbers_are_texts() {
        let values = [("fan", "ada"), ("version", "7")];
        let values =
            values.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        assert!(Fields::new(values, true).read::<Sample>().is_ok());
    }
}
