//! Which elements of an array were kept: the longest common subsequence, within bounds.
//!
//! E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1 (1986).

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;

use crate::canonical;

/// The most elements that may have been added or removed before the whole array is replaced. Also
/// bounds the memory of the search, at about 2 MiB.
const MAX_ARRAY_EDITS: usize = 512;
/// The most steps of the search, beyond the one walk along both arrays that it always needs.
const MAX_ARRAY_STEPS: usize = 1 << 20;

/// How one array becomes another.
pub(super) struct Script {
    /// How many elements are the same at the start.
    pub(super) start: usize,
    pub(super) runs: Vec<Run>,
}

/// Neighbouring elements of which none was kept.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Those that stood in the array before.
    pub(super) removed: Range<usize>,
    /// Those that stand there now.
    pub(super) added: Range<usize>,
    /// How many elements after this run were kept.
    pub(super) kept_after: usize,
}

/// How `before` becomes `after`; `None` when that would exceed the bounds.
pub(super) fn script(before: &[Value], after: &[Value]) -> Option<Script> {
    let start = before.iter().zip(after).take_while(|(a, b)| canonical::equal(a, b)).count();
    let (a, b) = (&before[start..], &after[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| canonical::equal(a, b)).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);

    let whole = Run { removed: start..start + a.len(), added: start..start + b.len(), kept_after: end };
    let runs = match (a.len(), b.len()) {
        (0, 0) => Vec::new(),
        (removed, 0) if removed <= MAX_ARRAY_EDITS => vec![whole],
        (0, added) if added <= MAX_ARRAY_EDITS => vec![whole],
        (1, 1) => vec![whole],
        (removed, added) if removed.abs_diff(added) > MAX_ARRAY_EDITS => return None,
        _ => {
            // Equal elements get equal numbers, so that the search compares numbers.
            let mut numbers = HashMap::new();
            let mut number = |value: &Value| {
                let next = numbers.len();
                *numbers.entry(canonical::to_vec(value)).or_insert(next)
            };
            let a: Vec<_> = a.iter().map(&mut number).collect();
            let b: Vec<_> = b.iter().map(&mut number).collect();
            drop(numbers);
            runs(&shortest(&a, &b)?, start, end)
        }
    };
    Some(Script { start, runs })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    Keep,
    Remove,
    Add,
}

/// Gathers single edits into runs. `end` more elements are kept after the last one.
fn runs(edits: &[Edit], start: usize, end: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut before, mut after) = (start, start);
    let mut kept = true;
    for edit in edits {
        if *edit == Edit::Keep {
            before += 1;
            after += 1;
            kept = true;
            if let Some(run) = runs.last_mut() {
                run.kept_after += 1;
            }
            continue;
        }
        if kept {
            runs.push(Run { removed: before..before, added: after..after, kept_after: 0 });
            kept = false;
        }
        if let Some(run) = runs.last_mut() {
            if *edit == Edit::Remove {
                before += 1;
                run.removed.end = before;
            } else {
                after += 1;
                run.added.end = after;
            }
        }
    }
    if let Some(run) = runs.last_mut() {
        run.kept_after += end;
    }
    runs
}

/// The furthest point reached on each diagonal `x - y`, counted from the lowest one; `None` where no
/// point of the grid was.
type Frontier = Vec<Option<u32>>;

/// The shortest list of edits that turns `a` into `b`; `None` when that would exceed the bounds.
fn shortest(a: &[usize], b: &[usize]) -> Option<Vec<Edit>> {
    let mut steps = a.len() + b.len() + MAX_ARRAY_STEPS;
    // One frontier for each number of edits. Diagonal `k` of frontier `d` is at index `k + d`.
    let mut trace: Vec<Frontier> = Vec::new();
    for edits in 0..=MAX_ARRAY_EDITS {
        let mut frontier = vec![None; 2 * edits + 1];
        for at in (0..=2 * edits).step_by(2) {
            let diagonal = at as isize - edits as isize;
            let Some((mut x, _)) = reach(trace.last(), diagonal, edits, a.len(), b.len()) else { continue };
            let mut y = x.checked_add_signed(-diagonal)?;
            while x < a.len() && y < b.len() && a[x] == b[y] {
                x += 1;
                y += 1;
                steps = steps.checked_sub(1)?;
            }
            steps = steps.checked_sub(1)?;
            frontier[at] = Some(x as u32);
            if x == a.len() && y == b.len() {
                return Some(backtrack(&trace, a.len(), b.len()));
            }
        }
        trace.push(frontier);
    }
    None
}

/// Where the `edits`-th edit arrives on a diagonal, and which edit it is: the one that gets further.
fn reach(
    previous: Option<&Frontier>,
    diagonal: isize,
    edits: usize,
    width: usize,
    height: usize,
) -> Option<(usize, Edit)> {
    let Some(previous) = previous else { return Some((0, Edit::Keep)) };
    // The frontier before has one diagonal fewer on each side.
    let point = |diagonal: isize| {
        let at = usize::try_from(diagonal + edits as isize - 1).ok()?;
        previous.get(at).copied().flatten().map(|x| x as usize)
    };
    let add = point(diagonal + 1).filter(|x| *x as isize - diagonal <= height as isize);
    let remove = point(diagonal - 1).map(|x| x + 1).filter(|x| *x <= width);
    match (add, remove) {
        (Some(add), Some(remove)) if remove > add => Some((remove, Edit::Remove)),
        (Some(add), _) => Some((add, Edit::Add)),
        (None, Some(remove)) => Some((remove, Edit::Remove)),
        (None, None) => None,
    }
}

/// Walks from the end to the start along the frontiers, making each choice again as it was made.
fn backtrack(trace: &[Frontier], width: usize, height: usize) -> Vec<Edit> {
    let mut edits = Vec::with_capacity(width + height);
    let (mut x, mut y) = (width, height);
    for count in (0..=trace.len()).rev() {
        let previous = count.checked_sub(1).map(|before| &trace[before]);
        let (arrived, edit) = reach(previous, x as isize - y as isize, count, width, height).unwrap_or((0, Edit::Keep));
        edits.extend(std::iter::repeat_n(Edit::Keep, x - arrived));
        y -= x - arrived;
        x = arrived;
        match edit {
            Edit::Keep => {}
            Edit::Remove => x -= 1,
            Edit::Add => y -= 1,
        }
        if edit != Edit::Keep {
            edits.push(edit);
        }
    }
    edits.reverse();
    edits
}
