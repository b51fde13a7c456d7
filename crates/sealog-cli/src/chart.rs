//! Small charts of characters. They need no colours, so that they say the same in a file.

/// From nothing to a whole cell, in eighths, from below.
const RISING: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same from the left.
const GROWING: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// `value` as eighths of cells, where `most` fills `cells` of them. What is there at all is seen.
fn eighths(value: u64, most: u64, cells: usize) -> usize {
    let share = u128::from(value) * 8 * cells as u128 / u128::from(most.max(1));
    (share as usize).max(usize::from(value > 0))
}

/// A bar to the right, at most `cells` long.
pub(crate) fn bar(value: u64, most: u64, cells: usize) -> String {
    let eighths = eighths(value, most, cells);
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(GROWING[eighths % 8]);
    }
    bar
}

/// Columns side by side, as lines from the top. Nothing stands behind the last column.
pub(crate) fn columns(values: &[u64], rows: usize) -> Vec<String> {
    let most = values.iter().copied().max().unwrap_or_default();
    let heights: Vec<_> = values.iter().map(|value| eighths(*value, most, rows)).collect();
    let line = |row: usize| {
        let cells = heights.iter().map(|height| RISING[height.saturating_sub(8 * row).min(8)]);
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..rows).rev().map(line).collect()
}

/// How a series is laid into so many columns: how many neighbours become one, and how many columns one
/// then takes.
pub(crate) fn fit(values: usize, columns: usize) -> (usize, usize) {
    /// A column that is wider looks like a bar.
    const MAX_COLUMNS: usize = 6;
    let together = values.div_ceil(columns.max(1)).max(1);
    (together, (columns / values.div_ceil(together).max(1)).clamp(1, MAX_COLUMNS))
}

/// The sums of so many neighbours each, each repeated.
pub(crate) fn gathered(values: &[u64], (together, repeated): (usize, usize)) -> Vec<u64> {
    let sums = values.chunks(together).map(|chunk| chunk.iter().sum());
    sums.flat_map(|sum: u64| std::iter::repeat_n(sum, repeated)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_seen_and_the_most_fills_its_place() {
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(1, 1_000_000, 4), "▏");
        assert_eq!(bar(5, 10, 3), "█▌");
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(0, 0, 4), "");
        assert_eq!(bar(u64::MAX, u64::MAX, 2), "██");
    }

    #[test]
    fn columns_rise_from_below() {
        assert_eq!(columns(&[0, 1, 4, 8, 16], 2), ["   ▁█".replace('▁', " "), " ▁▄██".to_owned()]);
        assert_eq!(columns(&[3, 0, 3, 0], 1), ["█ █"]);
        assert_eq!(columns(&[], 1), [""]);
    }

    #[test]
    fn a_series_fits_its_columns() {
        for (values, columns, expected) in [(100, 59, (2, 1)), (7, 59, (1, 6)), (20, 59, (1, 2)), (0, 59, (1, 6))] {
            assert_eq!(fit(values, columns), expected, "{values} in {columns}");
            let laid = gathered(&vec![1; values], expected);
            assert!(laid.len() <= columns);
            assert_eq!(laid.iter().sum::<u64>() / expected.1 as u64, values as u64);
        }
    }
}
