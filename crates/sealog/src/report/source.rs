//! Where the rows come from: one state of the log, page by page, in bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::field::{Body, Field};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Order, Place, View};
use crate::log::AuditLog;
use crate::query::{Selection, best, bodies};

/// The most groups of a report. They are counted before the first row is written, and held in memory.
pub const MAX_REPORT_GROUPS: usize = 100_000;
/// The most that the values of all groups may take, in bytes of JSON.
const MAX_GROUP_BYTES: usize = 32 * 1024 * 1024;
/// How many places are asked of the index at once: some 16 bytes each.
const PLACES_AT_ONCE: usize = if cfg!(test) { 16 } else { 16_384 };
/// About how many bytes of events a page has. A single event may be larger.
const PAGE_BYTES: usize = 512 * 1024;
/// The most events of a page.
const PAGE_ROWS: usize = 1024;
/// How many rows of groups are put in order at once: some 32 bytes each.
const WINDOW_ROWS: u64 = if cfg!(test) { 8 } else { 1_000_000 };

/// What is selected of one state of the log.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) log: AuditLog,
    pub(super) view: Arc<View>,
    pub(super) selection: Selection,
}

/// Events that were read at once.
pub(super) struct Page {
    text: String,
    rows: Vec<Row>,
}

/// An event of a page.
#[derive(Clone)]
struct Row {
    seq: u64,
    body: Range<usize>,
    /// The index of its group, where there are groups.
    group: usize,
}

impl Page {
    /// The events with their groups.
    pub(super) fn bodies(&self) -> impl Iterator<Item = Result<(usize, Body<'_>)>> {
        self.rows.iter().map(|row| Ok((row.group, self.body(row)?)))
    }

    fn body(&self, row: &Row) -> Result<Body<'_>> {
        let body = Body::parse(&self.text[row.body.clone()]);
        body.filter(|body| body.seq() == Some(row.seq) && body.timestamp().is_some()).ok_or_else(|| no_event(row.seq))
    }
}

fn no_event(seq: u64) -> Error {
    let message = format!("seq {seq}: expected an event's canonical JSON, found something else");
    Error::new(ErrorKind::Integrity, message)
}

/// Reads the events of a list.
struct Reading {
    source: Source,
    seqs: Arc<[u64]>,
    at: usize,
    /// How many events the next page has, by the size of those before.
    stride: usize,
}

impl Reading {
    fn new(source: Source) -> Self {
        Self { source, seqs: Arc::new([]), at: 0, stride: 64 }
    }

    fn start(&mut self, seqs: Vec<u64>) {
        (self.seqs, self.at) = (seqs.into(), 0);
    }

    /// The next events; `None` behind the last.
    async fn page(&mut self) -> Result<Option<Page>> {
        let rest = self.at..self.seqs.len().min(self.at + self.stride);
        if rest.is_empty() {
            return Ok(None);
        }
        let (seqs, wanted) = (self.seqs.clone(), rest.clone());
        let page = self.source.log.snapshot(move |snapshot| {
            let seqs = &seqs[wanted];
            let mut page = Page { text: String::new(), rows: Vec::new() };
            page.rows = seqs.iter().map(|seq| Row { seq: *seq, body: 0..0, group: 0 }).collect();
            bodies(snapshot, seqs, &mut |index, body| {
                let start = page.text.len();
                page.text.push_str(std::str::from_utf8(body).map_err(|_| no_event(seqs[index]))?);
                page.rows[index].body = start..page.text.len();
                Ok(())
            })?;
            Ok(page)
        });
        let page = page.await?;
        let each = (page.text.len() / rest.len()).max(1);
        self.stride = (PAGE_BYTES / each).clamp(1, PAGE_ROWS);
        self.at = rest.end;
        Ok(Some(page))
    }
}

/// Reads all that is selected, the oldest first by the time at which it happened.
pub(super) struct Scan {
    reading: Reading,
    /// Behind which place to go on; `None` at the beginning.
    after: Option<Place>,
    is_done: bool,
}

impl Scan {
    pub(super) fn new(source: &Source) -> Self {
        Self { reading: Reading::new(source.clone()), after: None, is_done: false }
    }

    /// The next events; `None` behind the last.
    pub(super) async fn page(&mut self) -> Result<Option<Page>> {
        loop {
            if let Some(page) = self.reading.page().await? {
                return Ok(Some(page));
            }
            if self.is_done {
                return Ok(None);
            }
            let (after, source) = (self.after, &self.reading.source);
            let places =
                source.log.ask_view(&source.view, source.selection.clone(), move |view, selection, snapshot| {
                    best(view, selection, Order::OldestFirst, after, PLACES_AT_ONCE, snapshot)
                });
            let places = places.await?;
            self.is_done = places.len() < PLACES_AT_ONCE;
            self.after = places.last().copied();
            self.reading.start(places.into_iter().map(|(_, seq)| seq).collect());
        }
    }
}

/// Rows with equal values in the fields that a report is grouped by.
#[derive(Debug)]
pub(super) struct Group {
    /// See [`key`].
    key: Box<str>,
    pub(super) count: u64,
    /// When the first and the last of them happened.
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Group {
    /// Its values as JSON, `None` for a field that its events do not have.
    pub(super) fn values(&self) -> impl Iterator<Item = Option<&str>> {
        self.key.split('\n').map(|value| Some(value).filter(|value| !value.is_empty()))
    }
}

/// The values of the fields, a line each, which JSON without white space never breaks.
fn key(body: &Body<'_>, fields: &[Field], key: &mut String) {
    key.clear();
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            key.push('\n');
        }
        key.push_str(body.get(field).as_deref().unwrap_or_default());
    }
}

/// Counts the groups; they stand in the order of their values.
pub(super) async fn count_groups(source: &Source, fields: &[Field]) -> Result<Vec<Group>> {
    let mut groups: BTreeMap<Box<str>, (u64, i64, i64)> = BTreeMap::new();
    let (mut scan, mut text, mut bytes) = (Scan::new(source), String::new(), 0);
    while let Some(page) = scan.page().await? {
        for body in page.bodies() {
            let (_, body) = body?;
            key(&body, fields, &mut text);
            let time = body.timestamp().unwrap_or_default();
            if let Some((count, _, last)) = groups.get_mut(&*text) {
                // The scan is in the order of time.
                (*count, *last) = (*count + 1, time);
                continue;
            }
            bytes += text.len();
            if groups.len() >= MAX_REPORT_GROUPS || bytes > MAX_GROUP_BYTES {
                let message = format!(
                    "there are more than {MAX_REPORT_GROUPS} groups, or more than {MAX_GROUP_BYTES} bytes of their \
                     values: group by a field with fewer values, or ask for less"
                );
                return Err(Error::field(ErrorKind::LimitExceeded, "/groupBy", message));
            }
            groups.insert(text.as_str().into(), (1, time, time));
        }
    }
    let groups = groups.into_iter();
    Ok(groups.map(|(key, (count, first, last))| Group { key, count, first, last }).collect())
}

/// Reads all that is selected, group by group, and in each the oldest first.
///
/// As many groups as fit are put in order at once, with one scan of all that is selected; so the memory it
/// takes is bounded, however many rows there are.
pub(super) struct Grouped {
    source: Source,
    fields: Vec<Field>,
    groups: Arc<Vec<Group>>,
    /// The first group that was not begun.
    next: usize,
    doing: Doing,
}

enum Doing {
    /// These groups were put in order: how many rows are left of each, the next first.
    Window { reading: Reading, left: std::vec::IntoIter<usize> },
    /// A group that is larger than a window, as the scan finds its rows.
    Large { scan: Scan, group: usize },
}

impl Grouped {
    pub(super) fn new(source: &Source, fields: &[Field], groups: &Arc<Vec<Group>>) -> Self {
        let doing = Doing::Window { reading: Reading::new(source.clone()), left: Vec::new().into_iter() };
        Self { source: source.clone(), fields: fields.to_vec(), groups: groups.clone(), next: 0, doing }
    }

    /// The next events, each with its group; `None` behind the last.
    pub(super) async fn page(&mut self) -> Result<Option<Page>> {
        loop {
            let page = match &mut self.doing {
                Doing::Window { reading, left } => {
                    let page = reading.page().await?;
                    page.map(|mut page| {
                        page.rows.iter_mut().zip(left).for_each(|(row, group)| row.group = group);
                        page
                    })
                }
                Doing::Large { scan, group } => match scan.page().await? {
                    Some(page) => Some(of_group(page, &self.fields, &self.groups, *group)?),
                    None => None,
                },
            };
            if page.is_some() {
                return Ok(page);
            }
            let first = self.next;
            let Some(group) = self.groups.get(first) else { return Ok(None) };
            if group.count > WINDOW_ROWS {
                self.next += 1;
                self.doing = Doing::Large { scan: Scan::new(&self.source), group: first };
                continue;
            }
            let mut rows = 0;
            while let Some(group) = self.groups.get(self.next)
                && rows + group.count <= WINDOW_ROWS
            {
                rows += group.count;
                self.next += 1;
            }
            self.doing = self.window(first..self.next).await?;
        }
    }

    /// Puts the rows of these groups in order.
    async fn window(&self, groups: Range<usize>) -> Result<Doing> {
        let of_key: HashMap<&str, usize> = groups.map(|index| (&*self.groups[index].key, index)).collect();
        let mut rows: Vec<(usize, u64)> = Vec::new();
        let (mut scan, mut text) = (Scan::new(&self.source), String::new());
        while let Some(page) = scan.page().await? {
            for row in &page.rows {
                key(&page.body(row)?, &self.fields, &mut text);
                if let Some(group) = of_key.get(&*text) {
                    rows.push((*group, row.seq));
                }
            }
        }
        // Stable: within a group the order of time stays.
        rows.sort_by_key(|(group, _)| *group);
        let mut reading = Reading::new(self.source.clone());
        reading.start(rows.iter().map(|(_, seq)| *seq).collect());
        let left: Vec<_> = rows.into_iter().map(|(group, _)| group).collect();
        Ok(Doing::Window { reading, left: left.into_iter() })
    }
}

/// The rows of the page that are in this group.
fn of_group(mut page: Page, fields: &[Field], groups: &[Group], group: usize) -> Result<Page> {
    let (mut rows, mut text) = (Vec::new(), String::new());
    for row in &page.rows {
        key(&page.body(row)?, fields, &mut text);
        if *text == *groups[group].key {
            rows.push(Row { group, ..row.clone() });
        }
    }
    page.rows = rows;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::query::Matcher;

    /// With pages, windows and large groups of a few rows each.
    #[tokio::test]
    async fn rows_come_in_the_order_of_their_groups_and_times() {
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::builder(folder.path().join("audit.db")).tail_events(30).open().await.unwrap();
        let actor = |i: i64| if i % 3 == 0 { "large".to_owned() } else { format!("u-{}", i % 7) };
        // Two of each time, the later ones first.
        let events = (0..60).map(|i| Event::new("e").actor(actor(i)).timestamp(100 - i / 2));
        log.log_bulk(events.collect()).await.unwrap();
        let selection = Selection::default().and(Matcher::new(&crate::Filter::new()).unwrap());
        let view = log.view(&selection, 60).await.unwrap();
        let source = Source { log: log.clone(), view: Arc::new(view), selection };

        let mut expected: Vec<_> = (0..60).map(|i| (actor(i), 100 - i / 2, i as u64)).collect();
        let mut by_time = expected.clone();
        by_time.sort_by_key(|(_, time, seq)| (*time, *seq));
        let (mut scan, mut found) = (Scan::new(&source), Vec::new());
        while let Some(page) = scan.page().await.unwrap() {
            found.extend(page.rows.iter().map(|row| row.seq));
        }
        assert!(by_time.iter().map(|(_, _, seq)| *seq).eq(found));

        expected.sort();
        let fields = [Field::parse("actorId").unwrap()];
        let groups = Arc::new(count_groups(&source, &fields).await.unwrap());
        assert_eq!(groups.iter().map(|group| group.count).collect::<Vec<_>>(), [20, 6, 6, 6, 6, 6, 5, 5]);
        assert_eq!((groups[0].first, groups[0].last), (72, 100));
        let (mut grouped, mut found) = (Grouped::new(&source, &fields, &groups), Vec::new());
        while let Some(page) = grouped.page().await.unwrap() {
            for row in &page.rows {
                let name = groups[row.group].values().next().unwrap().unwrap().trim_matches('"').to_owned();
                let body = page.body(row).unwrap();
                found.push((name, body.timestamp().unwrap(), row.seq));
            }
        }
        assert_eq!(found, expected);
    }
}
