import { lazy, Suspense, useMemo, useState } from "react";
import type { SealogError } from "sealog/live";
import { event as loadEvent, get, send, stats, useLoaded, type AuditLogEntry, type Caller, type Finding, type Findings, type QueryFilters, type Rule } from "../api";
import { useNow } from "../clock";
import { Drawer } from "../events/Drawer";
import { EventLine } from "../events/Row";
import { RangePicker } from "../picker";
import { written } from "../query";
import { Link, quoted, to, useParams } from "../router";
import { ago, clock, date, duration, exact, rangeOf } from "../time";
import { Button, Card, count, Dialog, Empty, Failed, Field, Loading, Mono, Page, plural, submitted } from "../ui";

const Chart = lazy(() => import("../chart"));
const GROUPS = ["actor", "ipAddress", "resource", "session", "tenant"];
const keyOf = (finding: Finding) => `${finding.rule}|${finding.group ?? ""}|${finding.first.seq}`;
const named = (rule: string) => rule.replace(/-/g, " ");

/** Rules, what they find, and what they would have found. */
export default function FindingsPage({ caller }: { caller: Caller }) {
  const [params, change] = useParams();
  const [name, first, last] = ["range", "from", "to"].map((name) => params.get(name));
  const range = useMemo(() => rangeOf(params, Date.now(), "7d"), [name, first, last]);
  const now = useNow();
  const rules = useLoaded(caller.scopes.length > 0 ? null : "rules", (signal) => get<{ rules: Rule[] }>("/v1/rules", {}, signal));
  const query = { from: range.from ?? 0, ...(range.to === undefined ? {} : { to: range.to }) };
  const turn = range.to === undefined ? Math.floor(now / 5_000) : 0;
  const found = useLoaded(`${JSON.stringify(query)} ${JSON.stringify(rules.data)} ${turn}`, (signal) => get<Findings>("/v1/anomalies", query, signal));
  const [kept, setKept] = useState<Findings>();
  if (found.data && kept !== found.data) {
    setKept(found.data);
  }
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
          {!shown ? (found.error ? <Failed error={found.error} retry={found.reload} /> : <Loading lines={8} />) : shown.length === 0 ? (
            <Empty title="Nothing unusual" icon="integrity"><p>{only === null ? "No rule" : "This rule"} has found anything in this time.</p></Empty>
          ) : (
            <ol className="finding-list wide">
              {shown.map((found) => (
                <li key={keyOf(found)}>
                  <button type="button" aria-expanded={found === finding} onClick={() => change({ finding: found === finding ? null : keyOf(found) }, { replace: true })}>
                    <b>{named(found.rule)}</b>
                    <Mono>{found.group ?? "everybody"}</Mono>
                    <span>{plural(found.count, "event")} in {duration(Math.max(1, found.last.timestamp - found.first.timestamp))}</span>
                    <time className="dim" dateTime={exact(found.last.timestamp)}>{ago(found.last.timestamp, now)}</time>
                  </button>
                  {found === finding && <Evidence finding={found} />}
                </li>
              ))}
            </ol>
          )}
        </Card>
      </div>
      {edited && <Editor rule={edited === "new" ? undefined : edited} canSave={caller.isAdmin} onClose={(saved) => (setEdited(undefined), saved && rules.reload())} />}
    </Page>
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
  const loaded = useLoaded(keyOf(finding), async (signal) => {
    const all = await Promise.allSettled(finding.ids.slice(0, 30).map((id) => loadEvent(id, signal)));
    return all.filter((one): one is PromiseFulfilledResult<AuditLogEntry> => one.status === "fulfilled").map(({ value }) => value);
  });
  const q = finding.groupBy === "actor" && finding.group ? `actor:${quoted(finding.group)}` : finding.groupBy === "ipAddress" && finding.group ? `ip:${quoted(finding.group)}` : "";
  return (
    <div className="evidence">
      <p className="dim">
        {date(finding.first.timestamp)} {clock(finding.first.timestamp)} – {clock(finding.last.timestamp)}; {finding.threshold} within {duration(finding.windowMs)} are an alarm.{" "}
        <Link href={`/events?q=${encodeURIComponent(q)}&from=${finding.first.timestamp - 600_000}&to=${finding.last.timestamp + 600_001}`}>What happened around it</Link>
        {finding.groupBy === "actor" && finding.group && <> · <Link href={to.actor(finding.group)}>This actor</Link></>}
      </p>
      {loaded.error ? <Failed error={loaded.error} retry={loaded.reload} /> : !loaded.data ? <Loading lines={4} /> : (
        <ol className="feed" aria-label="Evidence">
          {loaded.data.map((event) => (
            <li key={event.id}>
              <button type="button" className={`event-row ${event.severity}`} onClick={() => setId(event.id)}><EventLine event={event} withDate={false} /></button>
            </li>
          ))}
        </ol>
      )}
      {finding.count > 30 && <p className="hint">The first 30 of {count(finding.count)} events.</p>}
      {id !== undefined && <div className="over"><Drawer id={id} known={loaded.data?.find((event) => event.id === id)} onClose={() => setId(undefined)} /></div>}
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
