import { SealogError } from "./error.js";
import type { Report, ReportFormat } from "./types.js";

/** What a report says of itself. Only some formats have room for it. */
export function reportOf<Format extends ReportFormat>(format: Format, data: string, nowMs: number): Report<Format> {
  const head = format === "json" || format === "ndjson" ? /"generatedAt":(\d+)/.exec(data.slice(0, 4096)) : null;
  return { format, data, generatedAt: head ? Number(head[1]) : nowMs, recordCount: recordCount(format, data) as never };
}

function recordCount(format: ReportFormat, data: string): number | undefined {
  if (format === "html") {
    return undefined;
  }
  const count = format === "csv" ? csvRows(data) : Number(/"recordCount":(\d+)\}{1,2}\s*$/.exec(data.slice(-64))?.[1]);
  if (count >= 0) {
    return count;
  }
  throw new SealogError("bad_answer", "the report was cut off", { retryable: true });
}

/** The rows of a table after RFC 4180, without that of the names: line ends inside of quotes are part of a cell. */
function csvRows(data: string): number {
  let rows = -1;
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
