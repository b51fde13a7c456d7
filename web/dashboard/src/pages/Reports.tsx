import { useEffect, useMemo, useRef, useState } from "react";
import { asError, type SealogError } from "sealog/live";
import { events, get, open, stats, useLoaded, type QueryFilters } from "../api";
import { FilterBar } from "../events/FilterBar";
import { RangePicker } from "../picker";
import { useParams } from "../router";
import { clock, date, earlier, later, rangeOf, timesOf } from "../time";
import { Button, Card, count, Empty, Failed, Field, Loading, Page, plural, Progress, Tabs } from "../ui";

const FORMATS = [
  { value: "html", label: "Page", about: "to read and print, with findings and charts" },
  { value: "csv", label: "CSV", about: "a table, for spreadsheets" },
  { value: "parquet", label: "Parquet", about: "columns, for data tools" },
  { value: "json", label: "JSON", about: "one document" },
  { value: "ndjson", label: "NDJSON", about: "a line for each event" },
] as const;
type Format = (typeof FORMATS)[number]["value"];
const FIELDS = ["time", "action", "actorId", "actorName", "resourceType", "resourceId", "severity", "outcome", "tenant", "ipAddress", "diff", "id"];
const USUAL = ["time", "action", "actorId", "resourceType", "resourceId", "severity", "outcome"];
const PREVIEW = 12;

/** Everything that a filter selects, as a file. */
export default function Reports() {
  const [params, change] = useParams();
  const q = params.get("q") ?? "";
  const [name, first, last] = ["range", "from", "to"].map((name) => params.get(name));
  const range = useMemo(() => rangeOf(params, Date.now(), "30d"), [name, first, last]);
  const format = FORMATS.find(({ value }) => value === params.get("format")) ?? FORMATS[0];
  const fields = params.get("fields")?.split(",").filter(Boolean) ?? USUAL;
  const groupBy = params.get("group") ?? "";
  const parsed = useLoaded(q, (signal) => (q === "" ? Promise.resolve<QueryFilters>({}) : get<QueryFilters>("/v1/filter", { q }, signal)));
  const filter = parsed.data;
  const asked = filter && JSON.stringify({ filter, from: range.from, to: range.to });
  const preview = useLoaded(asked ?? null, async (signal) => {
    // What the bar says of the time holds beside the range, as it does in the report.
    const both = { from: later(range.from, filter?.fromTimestamp), to: earlier(range.to, filter?.toTimestamp) };
    const within = { ...filter, ...timesOf(both) };
    const [page, all] = await Promise.all([events({ ...within, limit: PREVIEW, order: "oldestFirst" }, signal), stats({ ...within, top: 1 }, signal)]);
    return { rows: page.items, total: all.totalCount };
  });
  const isBad = parsed.error?.status === 400;
  return (
    <Page title="Reports" aside={<RangePicker range={range} withAll />}>
      <FilterBar q={q} error={isBad ? parsed.error : undefined} onChange={(next) => change({ q: next })} />
      {parsed.error && !isBad && <Failed error={parsed.error} retry={parsed.reload} />}
      <div className="columns report-columns">
        <Card title="What it holds">
          <div className="stack">
            <div>
              <Tabs label="Format" tabs={FORMATS} value={format.value} onChange={(value) => change({ format: value })} />
              <p className="hint">{format.about}</p>
            </div>
            <fieldset>
              <legend>Fields</legend>
              <div className="checks">
                {FIELDS.map((field) => (
                  <label key={field}>
                    <input
                      type="checkbox"
                      checked={fields.includes(field)}
                      onChange={(changed) => {
                        const next = FIELDS.filter((known) => (known === field ? changed.target.checked : fields.includes(known)));
                        change({ fields: next.join(",") === USUAL.join(",") ? null : next.join(",") || "time" }, { replace: true });
                      }}
                    />
                    {field}
                  </label>
                ))}
              </div>
            </fieldset>
            <Field label="Put together by">
              {(ids) => (
                <select {...ids} value={groupBy} onChange={(changed) => change({ group: changed.target.value })}>
                  <option value="">nothing: in the order of time</option>
                  {["actorId", "action", "resourceType", "tenant", "severity"].map((field) => <option key={field}>{field}</option>)}
                </select>
              )}
            </Field>
            <Download
              key={`${asked ?? ""} ${format.value} ${fields.join()} ${groupBy}`}
              format={format.value}
              total={preview.data?.total}
              body={{ format: format.value, range: { ...(range.from === undefined ? {} : { from: range.from }), ...(range.to === undefined ? {} : { to: range.to }) }, filter: filter ?? {}, fields, groupBy: groupBy ? [groupBy] : [] }}
            />
          </div>
        </Card>
        <Card title="Preview" aside={preview.data && <span className="dim">{plural(preview.data.total, "event")}, the oldest first</span>}>
          {parsed.error ? (
            <Empty title="No preview" icon="reports"><p>It is not known yet which events the report is of.</p></Empty>
          ) : preview.error ? <Failed error={preview.error} retry={preview.reload} /> : !preview.data ? <Loading lines={8} /> : preview.data.rows.length === 0 ? (
            <Empty title="It would be empty" icon="reports"><p>No event meets the filter in this time.</p></Empty>
          ) : (
            <div className="table-box" tabIndex={0} role="region" aria-label="First rows">
              <table className="table">
                <thead><tr>{fields.map((field) => <th key={field} scope="col">{field}</th>)}</tr></thead>
                <tbody>
                  {preview.data.rows.map((row) => (
                    <tr key={row.id}>{fields.map((field) => <td key={field} className={field === "id" ? "mono volatile" : "mono"}>{cell(row as unknown as Record<string, unknown>, field)}</td>)}</tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Card>
      </div>
    </Page>
  );
}

function cell(row: Record<string, unknown>, field: string): string {
  const value = field === "time" ? row.timestamp : row[field];
  if (field === "time") {
    return `${date(Number(value))} ${clock(Number(value))}`;
  }
  return value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
}

type State = { name: "idle" } | { name: "running"; bytes: number; rows: number } | { name: "done"; bytes: number; file: string } | { name: "failed"; error: SealogError };

function Download({ format, total, body }: { format: Format; total: number | undefined; body: unknown }) {
  const [state, setState] = useState<State>({ name: "idle" });
  const abort = useRef<AbortController>(undefined);
  /** Of a line for each event it can be told how many have come. */
  const isOfLines = format === "csv" || format === "ndjson";
  useEffect(() => () => abort.current?.abort(), []);
  const run = async () => {
    const controller = (abort.current = new AbortController());
    setState({ name: "running", bytes: 0, rows: 0 });
    try {
      const response = await open("/v1/reports", body, "*/*", controller.signal);
      const reader = response.body!.getReader();
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      let bytes = 0;
      let rows = 0;
      let told = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) {
          break;
        }
        pieces.push(value);
        bytes += value.length;
        rows += isOfLines ? value.reduce((lines, byte) => lines + (byte === 10 ? 1 : 0), 0) : 0;
        if (performance.now() - told > 100) {
          told = performance.now();
          setState({ name: "running", bytes, rows });
        }
      }
      const file = `sealog-report.${format}`;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(pieces, { type: response.headers.get("content-type") ?? "" }));
      link.download = file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      setState({ name: "done", bytes, file });
    } catch (cause) {
      setState(controller.signal.aborted ? { name: "idle" } : { name: "failed", error: asError(cause) });
    }
  };
  if (state.name === "running") {
    return (
      <>
        <Progress label="Download" {...(isOfLines && total !== undefined && state.rows > 0 ? { now: state.rows, of: total } : {})}>
          <p>{size(state.bytes)}{isOfLines && total !== undefined && `, ${count(Math.min(total, state.rows))} of ${plural(total, "event")}`}</p>
        </Progress>
        {!isOfLines && <p className="hint">In this format, it cannot be told how much is left.</p>}
        <div><Button onClick={() => abort.current?.abort()}>Stop</Button></div>
      </>
    );
  }
  return (
    <div className="stack">
      {state.name === "failed" && <Failed error={state.error} />}
      {state.name === "done" && <p className="verdict good" role="status">{state.file} is downloaded, {size(state.bytes)}. Its SHA-256 is in the log.</p>}
      <Button kind="primary" icon="download" disabled={total === undefined} onClick={() => void run()}>
        {total === undefined ? "Download" : `Download ${plural(total, "event")}`}
      </Button>
    </div>
  );
}

function size(bytes: number): string {
  return bytes < 1024 ? `${bytes} bytes` : bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
