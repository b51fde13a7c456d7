//! Reading one segment of the index: its documents stand in the order of `seq`.

use std::ops::Range;
use std::sync::Arc;

use tantivy::columnar::{BytesColumn, Column, ColumnValues};
use tantivy::query::{Scorer, Weight};
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED};

use super::best::{Best, Times};
use super::facts::Key;
use super::schema::Fields;

/// Neighbouring documents of which the earliest and the latest timestamp are known.
const BLOCK_DOCS: u32 = 256;

/// A segment, and where in time its events lie.
pub(crate) struct Segment {
    pub(crate) reader: SegmentReader,
    pub(crate) seqs: Arc<dyn ColumnValues<u64>>,
    pub(crate) timestamps: Arc<dyn ColumnValues<i64>>,
    pub(crate) severities: Arc<dyn ColumnValues<u64>>,
    blocks: Vec<Times>,
    /// All blocks up to and with this one.
    until: Vec<Times>,
    /// All blocks from this one on.
    since: Vec<Times>,
}

impl Segment {
    pub(crate) fn open(reader: SegmentReader, fields: &Fields) -> tantivy::Result<Self> {
        let name = |field| fields.schema.get_field_name(field);
        let columns = reader.fast_fields();
        let seqs = columns.u64(name(fields.seq))?.first_or_default_col(0);
        let timestamps = columns.i64(name(fields.timestamp))?.first_or_default_col(0);
        let severities = columns.u64(name(fields.severity))?.first_or_default_col(0);
        let docs = reader.max_doc();
        let mut values = vec![0; BLOCK_DOCS as usize];
        let blocks: Vec<_> = (0..docs)
            .step_by(BLOCK_DOCS as usize)
            .map(|start| {
                let values = &mut values[..(docs - start).min(BLOCK_DOCS) as usize];
                timestamps.get_range(u64::from(start), values);
                values.iter().fold(Times::NONE, |times, time| times.with(*time, *time))
            })
            .collect();
        let running = |times: &mut Times, block: &Times| {
            *times = times.with(block.first, block.last);
            Some(*times)
        };
        let until = blocks.iter().scan(Times::NONE, running).collect();
        let mut since: Vec<_> = blocks.iter().rev().scan(Times::NONE, running).collect();
        since.reverse();
        Ok(Self { reader, seqs, timestamps, severities, blocks, until, since })
    }

    pub(crate) fn docs(&self) -> u32 {
        self.reader.max_doc()
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.seqs.get_val(0)
    }

    /// The seq after its last event.
    pub(crate) fn end_seq(&self) -> u64 {
        self.docs().checked_sub(1).map_or(0, |last| self.seqs.get_val(last) + 1)
    }

    /// The earliest and the latest timestamp.
    pub(crate) fn times(&self) -> Times {
        self.until.last().copied().unwrap_or(Times::NONE)
    }

    /// The values of a key, as numbers of a dictionary. `None` when no event has it.
    pub(crate) fn values(&self, key: Key) -> tantivy::Result<Option<BytesColumn>> {
        self.reader.fast_fields().bytes(key.name())
    }

    /// Offers `best` what `weight` selects.
    ///
    /// The newest are looked for from the end, in windows that double, since postings are read forward;
    /// blocks that cannot contribute any more are passed over. Where timestamps ascend with `seq`, as
    /// they nearly do in a log, the first window is enough: it is as wide as what is selected is rare.
    pub(crate) fn best(&self, weight: &dyn Weight, best: &mut Best) -> tantivy::Result<()> {
        if !best.wants(self.times()) {
            return Ok(());
        }
        let mut scorer = weight.scorer(&self.reader, 1.0)?;
        if best.newest_first() {
            let mut end = self.blocks.len();
            let selected = scorer.size_hint().max(1) as usize;
            let mut width = (2 * best.limit()).saturating_mul(end) / selected + 1;
            let mut is_at_start = true;
            while end > 0 && best.wants(self.until[end - 1]) {
                if !best.wants(self.blocks[end - 1]) {
                    end -= 1;
                    continue;
                }
                if !std::mem::take(&mut is_at_start) {
                    scorer = weight.scorer(&self.reader, 1.0)?;
                }
                let start = end.saturating_sub(width);
                self.offer(&mut *scorer, start..end, best);
                end = start;
                width = width.saturating_mul(2);
            }
            return Ok(());
        }
        self.offer(&mut *scorer, 0..self.blocks.len(), best);
        Ok(())
    }

    fn offer(&self, scorer: &mut dyn Scorer, blocks: Range<usize>, best: &mut Best) {
        let end = (blocks.end as u32).saturating_mul(BLOCK_DOCS);
        let mut doc = seek(scorer, blocks.start as u32 * BLOCK_DOCS);
        let mut block = usize::MAX;
        while doc < end && doc != TERMINATED {
            if (doc / BLOCK_DOCS) as usize != block {
                block = (doc / BLOCK_DOCS) as usize;
                if !best.newest_first() && !best.wants(self.since[block]) {
                    break;
                }
                if !best.wants(self.blocks[block]) {
                    doc = seek(scorer, (block as u32 + 1) * BLOCK_DOCS);
                    continue;
                }
            }
            if !self.reader.is_deleted(doc) {
                best.offer(self.timestamps.get_val(doc), || self.seqs.get_val(doc));
            }
            doc = scorer.advance();
        }
    }

    /// Gives `each` the documents that `weight` selects and their seqs, from `seq` on and in order, until it
    /// has enough.
    pub(crate) fn in_order(
        &self,
        weight: &dyn Weight,
        seq: u64,
        times: Range<i64>,
        each: &mut dyn FnMut(DocId, u64) -> bool,
    ) -> tantivy::Result<()> {
        let mut scorer = weight.scorer(&self.reader, 1.0)?;
        let mut doc = seek(&mut *scorer, self.first_doc_from(seq));
        while doc != TERMINATED {
            let wanted = !self.reader.is_deleted(doc) && times.contains(&self.timestamps.get_val(doc));
            if wanted && !each(doc, self.seqs.get_val(doc)) {
                break;
            }
            doc = scorer.advance();
        }
        Ok(())
    }

    /// The first document with a seq of at least this.
    pub(crate) fn first_doc_from(&self, seq: u64) -> DocId {
        first_from(&*self.seqs, seq)
    }

    /// Gives `each` all documents that `weight` selects within `times`, some dozens at a time.
    pub(crate) fn all(
        &self,
        weight: &dyn Weight,
        times: &Range<i64>,
        each: &mut dyn FnMut(&[DocId]),
    ) -> tantivy::Result<()> {
        let own = self.times();
        if own.first >= times.end || own.last < times.start {
            return Ok(());
        }
        let inside = own.first >= times.start && own.last < times.end;
        let mut kept = Vec::with_capacity(64);
        weight.for_each_no_score(&self.reader, &mut |docs| {
            if inside && !self.reader.has_deletes() {
                return each(docs);
            }
            kept.clear();
            kept.extend(docs.iter().copied().filter(|doc| {
                !self.reader.is_deleted(*doc) && (inside || times.contains(&self.timestamps.get_val(*doc)))
            }));
            each(&kept);
        })
    }

    /// How many documents `weight` selects within `times`.
    pub(crate) fn count(&self, weight: &dyn Weight, times: &Range<i64>) -> tantivy::Result<u64> {
        let own = self.times();
        if own.first >= times.start && own.last < times.end {
            return weight.count(&self.reader).map(u64::from);
        }
        let mut count = 0;
        self.all(weight, times, &mut |docs| count += docs.len() as u64)?;
        Ok(count)
    }
}

/// The first document with a seq of at least this, by the column of seqs, which ascend.
pub(super) fn first_from(seqs: &dyn ColumnValues<u64>, seq: u64) -> DocId {
    let (mut low, mut high) = (0, seqs.num_vals());
    while low < high {
        let middle = low + (high - low) / 2;
        if seqs.get_val(middle) < seq {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Goes to `target` or the first document after it.
fn seek(scorer: &mut dyn Scorer, target: DocId) -> DocId {
    if scorer.doc() < target { scorer.seek(target) } else { scorer.doc() }
}

/// The first value of each of these documents in `column`.
pub(crate) fn first_values(column: &Column<u64>, docs: &[DocId], out: &mut Vec<Option<u64>>) {
    out.clear();
    out.resize(docs.len(), None);
    column.first_vals(docs, out);
}
