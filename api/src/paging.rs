//! Lists in pages: `limit`, `cursor`, `next_cursor`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::{
    error::ApiError,
    extract::{Fields, FromFields},
};

const DEFAULT: u32 = 50;
const MOST: u32 = 200;

/// Which part of a list is asked for.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200, required = false)]
    limit: u32,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Which list it is: its path.
    #[param(ignore)]
    list: String,
}

impl FromFields for Paging {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let limit = fields.optional::<u32>("limit");
        let cursor = fields.optional("cursor");
        let limit = limit?.unwrap_or(DEFAULT);
        if !(1..=MOST).contains(&limit) {
            fields.fault("limit", format!("must be 1 to {MOST}"));
            return None;
        }
        Some(Self { limit, cursor: cursor?, list: fields.list().to_owned() })
    }
}

impl Paging {
    /// The part of a list at a cursor; the first part where it is empty.
    pub(crate) fn at(cursor: &str) -> Self {
        let cursor = Some(cursor).filter(|cursor| !cursor.is_empty()).map(str::to_owned);
        Self { limit: DEFAULT, cursor, list: String::new() }
    }

    /// As much of a list as is ever answered at once, from its beginning.
    pub(crate) fn whole() -> Self {
        Self { limit: MOST, cursor: None, list: String::new() }
    }

    /// One more row than is shown tells whether there is a next page.
    pub(crate) fn fetch(&self) -> u32 {
        self.limit + 1
    }

    /// The same, as a length.
    pub(crate) fn fetch_many(&self) -> usize {
        usize::try_from(self.fetch()).unwrap_or(usize::MAX)
    }

    /// The place that the cursor names.
    pub(crate) fn after<T: DeserializeOwned>(&self) -> Result<Option<T>, ApiError> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let place = URL_SAFE_NO_PAD.decode(cursor).ok();
        let place = place.and_then(|json| serde_json::from_slice::<(String, T)>(&json).ok());
        // A place in another list may look like one of this one.
        let place = place.filter(|(list, _)| *list == self.list);
        place.map(|(_, place)| Some(place)).ok_or_else(|| {
            ApiError::field("cursor", "is not one that this list gave; start again without it")
        })
    }

    /// The same part of the list, as the beginning of a query.
    pub(crate) fn query(&self) -> String {
        // A cursor is letters, digits, - and _; one that is not is refused before it is shown.
        self.cursor.as_ref().map_or_else(String::new, |cursor| format!("cursor={cursor}&"))
    }

    /// The cursor of a place.
    fn cursor_at(&self, place: &impl Serialize) -> Option<String> {
        serde_json::to_vec(&(&self.list, place)).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
    }

    /// The page of what was fetched; `place` names the place of a row.
    pub(crate) fn page<R, P: Serialize>(
        &self,
        mut rows: Vec<R>,
        place: impl Fn(&R) -> P,
    ) -> (Vec<R>, Option<String>) {
        let shown = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > shown;
        rows.truncate(shown);
        let last = rows.last().filter(|_| more);
        let cursor = last.and_then(|row| self.cursor_at(&place(row)));
        (rows, cursor)
    }
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    /// Where the next page begins; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_without_gap_or_repetition() {
        let all: Vec<u32> = (1..=5).collect();
        let (mut seen, mut cursor) = (vec![], None);
        loop {
            let paging = Paging { limit: 2, cursor, list: "/v1/numbers".into() };
            let after = paging.after::<u32>().unwrap().unwrap_or(0);
            let fetched = all.iter().filter(|n| **n > after).take(3).copied().collect();
            let (page, next) = paging.page(fetched, |n| *n);
            seen.extend(page);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_cursor_that_no_list_gave_is_refused() {
        let list = |cursor: &str, list: &str| Paging {
            limit: 1,
            cursor: Some(cursor.into()),
            list: list.into(),
        };
        let refused = |paging: Paging| paging.after::<u32>().unwrap_err().code();
        assert_eq!(refused(list("☃", "/v1/numbers")), "validation_failed");
        let (_, cursor) = list("", "/v1/numbers").page(vec![7, 8], |n| *n);
        let cursor = cursor.unwrap();
        assert_eq!(list(&cursor, "/v1/numbers").after().unwrap(), Some(7));
        assert_eq!(refused(list(&cursor, "/v1/others")), "validation_failed");
    }
}
