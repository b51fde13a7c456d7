//! The query of an address: a filter, and what else an endpoint asks.

use std::str::FromStr;

use axum::http::request::Parts;
use sealog::{Filter, Order, PageOptions, StatsOptions, TimeRange};

use crate::problem::{Code, Problem};

/// A query, taken apart.
pub(crate) struct Query {
    own: Vec<(String, String)>,
    pub(crate) filter: Filter,
}

impl Query {
    /// Reads the query: the parameters that are named, and a filter of all others. Times in `q` are before
    /// `now_ms`.
    pub(crate) fn read(parts: &Parts, names: &[&str], now_ms: i64) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let (mut own, mut rest) = (Vec::<(String, String)>::new(), form_urlencoded::Serializer::new(String::new()));
        let raw_replacement = query.to_ascii_uppercase().contains("%EF%BF%BD");
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.contains('\u{fffd}') && !raw_replacement {
                return Err(
                    Problem::new(Code::Malformed, format!("the value of {name:?} is no UTF-8")).at(pointer(&name))
                );
            }
            if !names.contains(&&*name) {
                // The short name of what the library calls `filter`.
                rest.append_pair(if name == "q" { "filter" } else { &name }, &value);
            } else if own.iter().any(|(known, _)| *known == name) {
                return Err(Problem::argument(pointer(&name), "is given twice, and holds one value"));
            } else {
                own.push((name.into_owned(), value.into_owned()));
            }
        }
        let filter = Filter::from_query(&rest.finish(), now_ms).map_err(|error| {
            let problem = Problem::from(error.clone());
            match error.pointer().and_then(|pointer| pointer.strip_prefix("/filter")) {
                Some(inside) => problem.at(format!("/q{inside}")),
                None => problem,
            }
        })?;
        Ok(Self { own, filter })
    }

    /// The same where there is no filter: any other parameter is wrong.
    pub(crate) fn without_filter(parts: &Parts, names: &[&str]) -> Result<Self, Problem> {
        let query = Self::read(parts, names, 0)?;
        if query.filter.is_empty() {
            return Ok(query);
        }
        let known =
            if names.is_empty() { "there are none here".to_owned() } else { format!("these are {}", names.join(", ")) };
        Err(Problem::argument("", format!("there is a parameter that is not known here; {known}")))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.own.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let number = self.text(name).map(|text| {
            text.parse()
                .map_err(|_| Problem::argument(pointer(name), format!("{text:?} is no whole number that fits here")))
        });
        number.transpose()
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let names = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| Problem::argument(pointer(name), format!("{text:?} is none of {}", names())))
    }

    /// Which page.
    pub(crate) fn page(&self) -> Result<PageOptions, Problem> {
        let mut page = PageOptions::new();
        if let Some(limit) = self.number("limit")? {
            page = page.limit(limit);
        }
        let orders = [("newestFirst", Order::NewestFirst), ("oldestFirst", Order::OldestFirst)];
        if let Some(order) = self.word("order", &orders)? {
            page = page.order(order);
        }
        if let Some(cursor) = self.text("cursor") {
            page = page.after(cursor);
        }
        Ok(page)
    }

    /// Which statistics. The range is what the filter says of the time.
    pub(crate) fn stats(&self) -> Result<(TimeRange, StatsOptions), Problem> {
        let mut options = StatsOptions::new();
        if let Some(top) = self.number("top")? {
            options = options.top(top);
        }
        if let Some(ms) = self.number("bucketMs")? {
            options = options.bucket_ms(ms);
        }
        Ok((range_of(&self.filter), options))
    }
}

/// What a filter says of the time.
pub(crate) fn range_of(filter: &Filter) -> TimeRange {
    (filter.from_timestamp.unwrap_or(i64::MIN)..filter.to_timestamp.unwrap_or(i64::MAX)).into()
}

fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}
