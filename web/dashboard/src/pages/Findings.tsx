import { lazy, Suspense, useLayoutEffect, useMemo, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { asError, type SealogError } from "sealog/live";
import { event as loadEvent, get, keyOf, send, stats, useLoaded, type AuditLogEntry, type Caller, type Finding, type Findings, type QueryFilters, type Rule } from "../api";
import { useNow } from "../clock";
import { Drawer } from "../events/Drawer";
import { EventLine } from "../events/Row";
import { narrow, useMedia } from "../media";
import { RangePicker } from "../picker";
import { quoted, written } from "../query";
import { Link, to, useParams } from "../router";
import { Rows, type RowsHandle } from "../rows";
import { ago, clock, date, duration, exact, rangeOf } from "../time";
import { Button, Card, count, Dialog, Empty, Failed, Field, Loading, Mono, Page, plural, submitted } from "../ui";

const Chart = lazy(() => import("../chart"));
const GROUPS = ["actor", "ipAddress", "resource", "session", "tenant"];
const REFRESH_MS = 5_000;
/** As tall as they are in the style sheet, in one line and in two. */
const ROW = 41;
const NARROW_ROW = 61;
/** So many events of a finding are loaded at first, and more of them at a time. */
const EVIDENCE = 30;
const named = (rule: string) => rule.replace(/-/g, " ");

/** Rules, what they find, and what they would have found. */
export default function FindingsPage({ caller }: { caller: Caller }) {
  const [params, change] = useParams();
  const [name, first, last] = ["range", "from", "to"].map((name) => params.get(name));
  const range = useMemo(() => rangeOf(params, Date.now(), "7d"), [name, first, last]);
  const now = useNow();
  const rules = useLoaded(caller.scopes.length > 0 ? null : "rules", (signal) => get<{ rules: Rule[] }>("/v1/rules", {}, signal));
  const query = { from: range.from ?? 0, ...(range.to === undefined ? {} : { to: range.to }) };
  const found = useLoaded(JSON.stringify(query), (signal) => get<Findings>("/v1/anomalies", query, signal), range.to === undefined ? REFRESH_MS : undefined);
  const kept = found.data;
  const [edited, setEdited] = useState<Rule | "new">();
  const only = params.get("rule");
  const chosen = params.get("finding");
  const shown = kept?.findings.filter(({ rule }) => only === null || rule === only);
  const finding = shown?.find((finding) => keyOf(finding) === chosen);
  const counts = new Map<string, number>();
  kept?.findings.forEach(({ rule }) => counts.set(rule, (counts.get(rule) ?? 0) + 1));
  return (
    <Page title="Findings" aside={<RangePicker range={range} withAll />}>
      <div className="columns rules-columns">
        <Card
          title="Rules"
          aside={caller.isAdmin && <Button icon="plus" onClick={() => setEdited("new")}>New rule</Button>}
        >
          {caller.scopes.length > 0 ? <Empty title="Rules are of the whole log" icon="lock"><p>Your key shows a part of it.</p></Empty>
            : rules.error && !rules.data ? <Failed error={rules.error} retry={rules.reload} />
            : !rules.data ? <Loading lines={6} />
            : rules.data.rules.length === 0 ? <Empty title="No rule is saved" icon="findings"><p>A rule says what is unusual: so many events of a kind within a time.</p></Empty>
            : (
              <ul className="rule-list">
                {rules.data.rules.map((rule) => (
                  <li key={rule.name} className={only === rule.name ? "chosen" : ""}>
                    <button type="button" className="rule" aria-pressed={only === rule.name} onClick={() => change({ rule: only === rule.name ? null : rule.name, finding: null })}>
                      <b>{named(rule.name)}</b>
                      <span className="dim">{said(rule)}</span>
                      <span className="number">{count(counts.get(rule.name) ?? 0)}</span>
                    </button>
                    <Button kind="quiet" onClick={() => setEdited(rule)} aria-label={`Back-test ${rule.name}`}>Test</Button>
                  </li>
                ))}
              </ul>
            )}
        </Card>
        <Card title="What they found" aside={kept && <span className="dim">{plural(only === null ? kept.total : (shown?.length ?? 0), "finding")}</span>}>
          {found.error && <Failed error={found.error} retry={found.reload} />}
          {!shown ? (!found.error && <Loading lines={8} />) : shown.length === 0 ? (
            <Empty title="Nothing unusual" icon="integrity"><p>{only === null ? "No rule" : "This rule"} has found anything in this time.</p></Empty>
          ) : (
            <Found
              key={`${JSON.stringify(query)} ${only}`}
              findings={shown}
              open={finding}
              now={now}
              onOpen={(found) => change({ finding: found === finding ? null : keyOf(found) }, { replace: true })}
            />
          )}
          {kept && kept.findings.length < kept.total && <p className="hint">The newest {count(kept.findings.length)} are listed. A shorter time shows the others.</p>}
        </Card>
      </div>
      {edited && <Editor rule={edited === "new" ? undefined : edited} canSave={caller.isAdmin} onClose={(saved) => (setEdited(undefined), saved && (rules.reload(), found.reload()))} />}
    </Page>
  );
}

/** Findings, of which one is open. New ones come in at the top. */
function Found({ findings, open, now, onOpen }: { findings: Finding[]; open: Finding | undefined; now: number; onOpen: (finding: Finding) => void }) {
  const handle = useRef<RowsHandle | null>(null);
  const rowHeight = useMedia(narrow) ? NARROW_ROW : ROW;
  const top = useRef<string>(undefined);
  const newest = keyOf(findings[0]!);
  useLayoutEffect(() => {
    const added = top.current === undefined ? 0 : findings.findIndex((finding) => keyOf(finding) === top.current);
    if (added > 0) {
      handle.current?.shift(added);
    }
    top.current = newest;
  }, [newest]);
  return (
    <Rows
      className="finding-list wide"
      role="list"
      aria-label="Findings, the newest first"
      count={findings.length}
      rowHeight={rowHeight}
      handle={handle}
      rowKey={(index) => keyOf(findings[index]!)}
      open={open && findings.indexOf(open)}
      isRoving
      isFitting
      row={(index, tabIndex) => {
        const found = findings[index]!;
        return (
          <div role="listitem" className="finding" aria-setsize={findings.length} aria-posinset={index + 1}>
            <button type="button" tabIndex={tabIndex} aria-expanded={found === open} onClick={() => onOpen(found)}>
              <b>{named(found.rule)}</b>
              <Mono>{found.group ?? "everybody"}</Mono>
              <span>{plural(found.count, "event")} in {duration(Math.max(1, found.last.timestamp - found.first.timestamp))}</span>
              <time className="dim" dateTime={exact(found.last.timestamp)}>{ago(found.last.timestamp, now)}</time>
            </button>
            {found === open && <Evidence finding={found} />}
          </div>
        );
      }}
    />
  );
}

function said({ threshold, windowMs, groupBy, unusual }: Rule): string {
  if (unusual) {
    return "an hour unlike the same hour of the weeks before";
  }
  return `${threshold ?? 0} within ${duration(windowMs ?? 0)}${groupBy ? ` of one ${groupBy === "ipAddress" ? "address" : groupBy}` : ""}`;
}

/** The events of a finding, each looked up in the log. */
function Evidence({ finding }: { finding: Finding }) {
  const [id, setId] = useState<string>();
  const [portion, setPortion] = useState(EVIDENCE);
  const known = useRef(new Map<string, AuditLogEntry>());
  const ids = finding.ids.slice(0, portion);
  const loaded = useLoaded(`${keyOf(finding)} ${portion}`, async (signal) => {
    const missing = ids.filter((id) => !known.current.has(id));
    const all = await Promise.allSettled(missing.map(async (id) => known.current.set(id, await loadEvent(id, signal))));
    // Some may have been removed since. Where none can be had, something else is wrong.
    const failed = all.filter((one) => one.status === "rejected");
    if (failed.length > 0 && failed.length === missing.length) {
      throw asError(failed[0]!.reason);
    }
    return ids.length - failed.length;
  });
  const events = ids.flatMap((id) => known.current.get(id) ?? []);
  const q = finding.groupBy === "actor" && finding.group ? `actor:${quoted(finding.group)}` : finding.groupBy === "ipAddress" && finding.group ? `ip:${quoted(finding.group)}` : "";
  const around = { from: String(finding.first.timestamp - 600_000), to: String(finding.last.timestamp + 600_001) };
  return (
    <div className="evidence">
      <p className="dim">
        {date(finding.first.timestamp)} {clock(finding.first.timestamp)} – {clock(finding.last.timestamp)}; {finding.threshold} within {duration(finding.windowMs)} are an alarm.{" "}
        <Link href={to.events(q, around)}>What happened around it</Link>
        {finding.groupBy === "actor" && finding.group && <> · <Link href={to.actor(finding.group, around)}>This actor</Link></>}
      </p>
      {events.length > 0 && (
        <ol className="feed" aria-label="Evidence">
          {events.map((event) => (
            <li key={event.id}>
              <button type="button" className={`event-row ${event.severity}`} onClick={() => setId(event.id)}><EventLine event={event} withDate={false} /></button>
            </li>
          ))}
        </ol>
      )}
      {loaded.error ? <Failed error={loaded.error} retry={loaded.reload} /> : loaded.data === undefined && <Loading lines={4} />}
      {loaded.data !== undefined && loaded.data < ids.length && (
        <p className="hint" role="status">{count(loaded.data)} of {plural(ids.length, "event")} could be loaded. <Button onClick={loaded.reload}>Try again</Button></p>
      )}
      {loaded.data !== undefined && finding.ids.length > portion && <p className="actions"><Button onClick={() => setPortion(portion + EVIDENCE)}>Show more</Button></p>}
      {finding.count > ids.length && <p className="hint">The first {count(ids.length)} of {plural(finding.count, "event")}{ids.length === finding.ids.length && ": a finding names no more of them"}.</p>}
      {id !== undefined && createPortal(<div className="over"><Drawer id={id} known={known.current.get(id)} onClose={() => setId(undefined)} /></div>, document.querySelector("main")!)}
    </div>
  );
}

const DAYS = 30 * 86_400_000;

/** A rule, tried on what has happened before it is saved. */
function Editor({ rule, canSave, onClose }: { rule: Rule | undefined; canSave: boolean; onClose: (saved: boolean) => void }) {
  const [error, setError] = useState<SealogError>();
  const [tested, setTested] = useState<{ rule: Rule; filter: QueryFilters; turn: number } | undefined>(
    rule && { rule, filter: rule.filter ?? (rule.action ? { actions: [rule.action] } : {}), turn: 0 },
  );
  const from = useMemo(() => Date.now() - DAYS, []);
  const found = useLoaded(tested ? JSON.stringify(tested) : null, async (signal) => {
    const [found, series] = await Promise.all([
      send<Findings>("POST", "/v1/anomalies", { rules: [tested!.rule], range: { from } }, signal),
      stats({ ...tested!.filter, fromTimestamp: from, top: 1 }, signal),
    ]);
    return { found, series };
  });
  const read = async (data: FormData): Promise<{ rule: Rule; filter: QueryFilters }> => {
    const q = String(data.get("filter")).trim();
    const filter = q === "" ? {} : await get<QueryFilters>("/v1/filter", { q });
    const groupBy = String(data.get("groupBy"));
    const made: Rule = {
      name: String(data.get("name")),
      ...(Object.keys(filter).length > 0 ? { filter } : {}),
      ...(groupBy ? { groupBy } : {}),
      ...(rule?.unusual ? { unusual: rule.unusual } : { threshold: Number(data.get("threshold")), windowMs: Number(data.get("minutes")) * 60_000 }),
    };
    return { rule: made, filter };
  };
  const submit = async (data: FormData, doSave: boolean) => {
    setError(undefined);
    try {
      const next = await read(data);
      if (doSave) {
        await send("PUT", `/v1/rules/${encodeURIComponent(next.rule.name)}`, { ...next.rule, name: undefined });
        onClose(true);
      } else {
        setTested({ ...next, turn: (tested?.turn ?? 0) + 1 });
      }
    } catch (cause) {
      setError(cause as SealogError);
    }
  };
  const remove = async () => {
    try {
      await send("DELETE", `/v1/rules/${encodeURIComponent(rule!.name)}`, {});
      onClose(true);
    } catch (cause) {
      setError(cause as SealogError);
    }
  };
  const marks = useMemo(() => found.data?.found.findings.map(({ last }) => last.timestamp) ?? [], [found.data]);
  return (
    <Dialog title={rule ? named(rule.name) : "New rule"} onClose={() => onClose(false)} className="wide">
      <form
        className="stack"
        onSubmit={(event) => {
          const { submitter } = event.nativeEvent as SubmitEvent;
          submitted((data) => submit(data, submitter?.dataset.save !== undefined))(event);
        }}
      >
        <div className="form-row">
          <Field label="Name">{(ids) => <input {...ids} name="name" required maxLength={100} defaultValue={rule?.name ?? ""} readOnly={rule !== undefined} />}</Field>
          <Field label="Counted apart by">
            {(ids) => (
              <select {...ids} name="groupBy" defaultValue={rule?.groupBy ?? (rule ? "" : "actor")}>
                <option value="">nothing</option>
                {GROUPS.map((group) => <option key={group}>{group}</option>)}
              </select>
            )}
          </Field>
        </div>
        <Field label="Which events" hint="A filter, as on the page of events. Empty: all of them.">
          {(ids) => <input {...ids} name="filter" className="mono" placeholder="action:user.login.failed" spellCheck={false} defaultValue={rule ? written(rule.filter ?? (rule.action ? { actions: [rule.action] } : {})) : ""} />}
        </Field>
        {!rule?.unusual && (
          <div className="form-row">
            <Field label="How many">{(ids) => <input {...ids} name="threshold" type="number" min={1} required defaultValue={rule?.threshold ?? 5} />}</Field>
            <Field label="Within, in minutes">{(ids) => <input {...ids} name="minutes" type="number" min={0.01} step="any" required defaultValue={(rule?.windowMs ?? 300_000) / 60_000} />}</Field>
          </div>
        )}
        {error && <p className="field-error" role="alert">{error.message}</p>}
        <section className="backtest" aria-label="Back-test">
          <h3>What it would have found in the last 30 days</h3>
          {!tested ? <p className="dim">Test the rule before you save it.</p>
            : found.error ? <Failed error={found.error} retry={found.reload} />
            : !found.data ? <Loading lines={3} />
            : (
              <>
                <p className="verdict" role="status">{plural(found.data.found.total, "finding")} in {plural(found.data.series.totalCount, "event")}</p>
                <Suspense fallback={<Loading lines={1} />}>
                  <Chart label="Events that the rule looks at" series={found.data.series.series} bucketMs={found.data.series.bucketMs} from={from} to={from + DAYS} marks={marks} height={140} />
                </Suspense>
              </>
            )}
        </section>
        <footer className="actions">
          {rule && canSave && <Button kind="danger" icon="trash" onClick={() => void remove()}>Remove</Button>}
          <i className="grow" />
          <Button type="submit">Test</Button>
          {canSave && <Button kind="primary" type="submit" data-save="">Save</Button>}
        </footer>
      </form>
    </Dialog>
  );
}
