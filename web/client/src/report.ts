import type { Report, ReportFormat } from "./types.js";

/** What a report says of itself. Only some formats have room for it. */
export function reportOf(format: ReportFormat, data: string, nowMs: number): Report {
  const head = format === "json" || format === "ndjson" ? /"generatedAt":(\d+)/.exec(data.slice(0, 4096)) : null;
  return { format, data, generatedAt: head ? Number(head[1]) : nowMs, recordCount: recordCount(format, data) };
}

function recordCount(format: ReportFormat, data: string): number | undefined {
  if (format === "csv") {
    return Math.max(0, csvRows(data) - 1);
  }
  const end = /"recordCount":(\d+)\}{1,2}\s*$/.exec(data.slice(-64));
  return end ? Number(end[1]) : undefined;
}

/** The rows of a table after RFC 4180: line ends inside of quotes are part of a cell. */
function csvRows(data: string): number {
  let rows = 0;
  let isQuoted = false;
  for (let at = 0; at < data.length; at++) {
    const char = data.charCodeAt(at);
    if (char === 0x22) {
      isQuoted = !isQuoted;
    } else if (char === 0x0a && !isQuoted) {
      rows++;
    }
  }
  return rows;
}
