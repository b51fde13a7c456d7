import { useState, type ReactNode } from "react";
import { asError, type SealogError } from "sealog/live";
import { events, get, send, useLoaded, type Caller, type QueryFilters } from "../api";
import { written } from "../query";
import { changesOf, type Kept } from "../retention";
import { Link, to, useParams } from "../router";
import { clock, date } from "../time";
import { Button, Card, count, Dialog, Empty, Failed, Field, Loading, Mono, Page, plural, SEVERITIES, SeverityMark, submitted, Volatile } from "../ui";

interface Removed { removed: number; held: number; bySeverity: Record<string, number>; byCategory: Record<string, number>; oldest?: number; newest?: number; dryRun: boolean }
interface Erased { removed: number; reduced: number; held: number; kept: number; dryRun: boolean; subject: string }
interface Hold { id: string; filter: QueryFilters; reason: string; owner?: string; placedAt: number }

const RECEIPTS = ["sealog.retention.applied", "sealog.erasure.applied"];
const days = (value: number | null) => (value === null ? "for ever" : plural(value, "day"));

/** How the log forgets, and what nothing makes it forget. */
export default function Retention({ caller }: { caller: Caller }) {
  const [params, change] = useParams();
  const isWhole = caller.scopes.length === 0;
  const settings = useLoaded(isWhole ? "settings" : null, (signal) => get<Kept>("/v1/settings", {}, signal));
  const holds = useLoaded(caller.isAdmin ? "holds" : null, (signal) => get<{ holds: Hold[] }>("/v1/holds", {}, signal));
  const receipts = useLoaded("receipts", (signal) => events({ actions: RECEIPTS, limit: 50 }, signal));
  const window = params.get("open");
  const close = (isDone?: boolean) => {
    change({ open: null }, { replace: true });
    if (isDone) {
      [settings, holds, receipts].forEach(({ reload }) => reload());
    }
  };
  return (
    <Page
      title="Retention"
      aside={caller.isAdmin && (
        <>
          <Button icon="lock" onClick={() => change({ open: "hold" })}>Place a hold</Button>
          <Button icon="trash" onClick={() => change({ open: "erase" })}>Erase somebody</Button>
          <Button kind="primary" onClick={() => change({ open: "cleanup" })}>Preview a clean-up</Button>
        </>
      )}
    >
      <div className="columns two">
        <Card title="How long events are kept" aside={caller.isAdmin && settings.data && <Button onClick={() => change({ open: "policy" })}>Change</Button>}>
          {!isWhole ? <Empty title="Settings are of the whole log" icon="lock"><p>Your key shows a part of it.</p></Empty>
            : settings.error && !settings.data ? <Failed error={settings.error} retry={settings.reload} /> : !settings.data ? <Loading lines={4} /> : (
            <dl className="policies">
              <div><dt>Most events</dt><dd>{days(settings.data.defaultRetentionDays)}</dd></div>
              <div><dt><SeverityMark severity="critical" /> events</dt><dd>{days(settings.data.criticalRetentionDays)}</dd></div>
              {settings.data.customRetention.map(({ category, retentionDays }) => (
                <div key={category}><dt>category <Mono>{category}</Mono></dt><dd>{days(retentionDays)}</dd></div>
              ))}
            </dl>
          )}
        </Card>
        <Card title="Legal holds" aside={holds.data && <span className="dim">{plural(holds.data.holds.length, "hold")} in force</span>}>
          {!caller.isAdmin ? <Empty title="Only administrators see holds" icon="lock" /> : holds.error && !holds.data ? <Failed error={holds.error} retry={holds.reload} /> : !holds.data ? <Loading lines={4} /> : holds.data.holds.length === 0 ? (
            <Empty title="Nothing is held" icon="lock"><p>What a hold selects, no clean-up and no erasure removes.</p></Empty>
          ) : (
            <ul className="hold-list">
              {holds.data.holds.map((hold) => (
                <li key={hold.id}>
                  <div>
                    <b>{hold.reason}</b>
                    <Mono>{written(hold.filter) || "everything"}</Mono>
                    <span className="dim">{hold.owner && `${hold.owner}, `}since <Volatile>{date(hold.placedAt)}</Volatile></span>
                  </div>
                  <Button onClick={() => change({ open: `lift ${hold.id}` })} aria-label={`Lift the hold ${hold.reason}`}>Lift</Button>
                </li>
              ))}
            </ul>
          )}
        </Card>
      </div>
      <Card title="Removal receipts" aside={<Link className="more" href={to.events(`action:${RECEIPTS.join(",")}`)}>All in events</Link>}>
        {receipts.error && !receipts.data ? <Failed error={receipts.error} retry={receipts.reload} /> : !receipts.data ? <Loading lines={5} /> : receipts.data.items.length === 0 ? (
          <Empty title="Nothing has been removed" icon="retention"><p>Each clean-up and each erasure leaves a receipt here, sealed as every event is.</p></Empty>
        ) : (
          <div className="table-box" tabIndex={0} role="region" aria-label="Newest receipts">
            <table className="table">
              <thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">By</th><th scope="col" className="number">Removed</th><th scope="col">Why</th></tr></thead>
              <tbody>
                {receipts.data.items.map((receipt) => {
                  const told = receipt.metadata ?? {};
                  return (
                    <tr key={receipt.id}>
                      <td><Volatile>{date(receipt.timestamp)} {clock(receipt.timestamp)}</Volatile></td>
                      <td><Link href={to.event(receipt.id, `action:${receipt.action}`)}>{receipt.action.includes("erasure") ? "Erasure" : "Clean-up"}</Link></td>
                      <td>{receipt.actorName ?? receipt.actorId ?? "the log"}</td>
                      <td className="number">{count(Number(told.count ?? 0))}</td>
                      <td>{why(told)}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        )}
      </Card>
      {window === "cleanup" && <CleanUp onClose={close} />}
      {window === "hold" && <PlaceHold onClose={close} />}
      {window === "erase" && <Erase onClose={close} />}
      {window === "policy" && settings.data && <Policy kept={settings.data} onClose={close} />}
      {window?.startsWith("lift ") && <Lift id={window.slice(5)} onClose={close} />}
    </Page>
  );
}

function why({ reason, retentionCategory, olderThanDays }: Record<string, unknown>): string {
  if (typeof reason === "string") {
    return reason;
  }
  const kept = olderThanDays === undefined ? "kept long enough" : `${days(Number(olderThanDays))} old or more`;
  return retentionCategory === undefined ? kept : `${String(retentionCategory)}, ${kept}`;
}

/** Something that is done with a form, and may fail. */
function Doing({ title, onClose, take, onChange, children, name, kind = "primary" }: { title: string; onClose: (isDone?: boolean) => void; take: (data: FormData) => Promise<void>; onChange?: () => void; children: ReactNode; name: string; kind?: "primary" | "danger" }) {
  const [error, setError] = useState<SealogError>();
  const [isBusy, setBusy] = useState(false);
  const submit = async (data: FormData) => {
    setBusy(true);
    setError(undefined);
    try {
      await take(data);
    } catch (cause) {
      setError(asError(cause));
    }
    setBusy(false);
  };
  return (
    <Dialog title={title} onClose={() => onClose()}>
      <form className="stack" onSubmit={submitted(submit)} onChange={onChange}>
        {children}
        {error && <p className="field-error" role="alert">{error.message}</p>}
        <footer className="actions">
          <Button onClick={() => onClose()}>Cancel</Button>
          <Button kind={kind} type="submit" disabled={isBusy}>{name}</Button>
        </footer>
      </form>
    </Dialog>
  );
}

function CleanUp({ onClose }: { onClose: (isDone?: boolean) => void }) {
  const [preview, setPreview] = useState<{ options: Record<string, unknown>; report: Removed }>();
  const optionsOf = (data: FormData) => {
    const older = String(data.get("older"));
    const category = String(data.get("category")).trim();
    return { ...(older === "" ? {} : { olderThanDays: Number(older) }), ...(category === "" ? {} : { retentionCategory: category }) };
  };
  return (
    <Doing
      title="Clean-up"
      onClose={onClose}
      onChange={() => setPreview(undefined)}
      kind={preview ? "danger" : "primary"}
      name={preview ? (preview.report.removed > 0 ? `Remove ${plural(preview.report.removed, "event")}` : "Preview again") : "Preview"}
      take={async (data) => {
        const options = optionsOf(data);
        if (preview && preview.report.removed > 0 && JSON.stringify(options) === JSON.stringify(preview.options)) {
          await send("POST", "/v1/cleanup", options);
          onClose(true);
        } else {
          setPreview({ options, report: await send<Removed>("POST", "/v1/cleanup", { ...options, dryRun: true }) });
        }
      }}
    >
      <Field label="At least so many days old" hint="Empty: as long as the settings say of each kind.">{(ids) => <input {...ids} name="older" type="number" min={0} />}</Field>
      <Field label="Of this category alone" hint="Empty: of all.">{(ids) => <input {...ids} name="category" />}</Field>
      {preview && (
        <div className="dry-run" role="status">
          <p className="big">{plural(preview.report.removed, "event")} would go</p>
          <ul>{SEVERITIES.map((severity) => <li key={severity}><SeverityMark severity={severity} /> {count(preview.report.bySeverity[severity] ?? 0)}</li>)}</ul>
          <p className="dim">{preview.report.held > 0 && `${plural(preview.report.held, "event")} more would go but for a hold. `}Their bodies and salts go; commitments, proofs and a receipt stay.</p>
        </div>
      )}
    </Doing>
  );
}

function PlaceHold({ onClose }: { onClose: (isDone?: boolean) => void }) {
  return (
    <Doing title="Place a hold" onClose={onClose} name="Place the hold" take={async (data) => {
      const q = String(data.get("q")).trim();
      const filter = await get<QueryFilters>("/v1/filter", { q });
      const owner = String(data.get("owner")).trim();
      await send("POST", "/v1/holds", { filter, reason: String(data.get("reason")), ...(owner ? { owner } : {}) });
      onClose(true);
    }}>
      <p className="dim">Nothing that it selects is removed until it is lifted; what comes later is held too.</p>
      <Field label="Which events">{(ids) => <input {...ids} name="q" className="mono" required placeholder="actor:u-17" spellCheck={false} />}</Field>
      <Field label="Why" hint="It stands in the log for good: a case number says enough.">{(ids) => <input {...ids} name="reason" required />}</Field>
      <Field label="Who asked for it">{(ids) => <input {...ids} name="owner" />}</Field>
    </Doing>
  );
}

function Lift({ id, onClose }: { id: string; onClose: (isDone?: boolean) => void }) {
  return (
    <Doing title="Lift the hold" onClose={onClose} name="Lift it" kind="danger" take={async (data) => {
      await send("POST", `/v1/holds/${encodeURIComponent(id)}/lift`, { reason: String(data.get("reason")) });
      onClose(true);
    }}>
      <Field label="Why">{(ids) => <input {...ids} name="reason" required />}</Field>
    </Doing>
  );
}

function Erase({ onClose }: { onClose: (isDone?: boolean) => void }) {
  const [preview, setPreview] = useState<{ asked: string; report: Erased }>();
  const askedOf = (data: FormData) => {
    const text = (name: string) => String(data.get(name)).trim();
    const [type = "", ...id] = text("subject").split("/");
    return {
      subject: text("kind") === "actor" ? { actor: text("subject") } : { resource: { type, id: id.join("/") } },
      reason: text("reason"),
      mode: text("mode"),
    };
  };
  return (
    <Doing title="Erase somebody’s data" onClose={onClose} onChange={() => setPreview(undefined)} kind={preview ? "danger" : "primary"} name={preview ? "Erase for good" : "Preview"} take={async (data) => {
      const asked = askedOf(data);
      if (preview && preview.asked === JSON.stringify(asked)) {
        await send("POST", "/v1/erasures", asked);
        onClose(true);
      } else {
        setPreview({ asked: JSON.stringify(asked), report: await send<Erased>("POST", "/v1/erasures", { ...asked, dryRun: true }) });
      }
    }}>
      <div className="form-row">
        <Field label="Of what">{(ids) => <select {...ids} name="kind"><option value="actor">an actor</option><option value="resource">a resource</option></select>}</Field>
        <Field label="Which one" hint="A resource as type/id.">{(ids) => <input {...ids} name="subject" className="mono" required spellCheck={false} />}</Field>
      </div>
      <Field label="Why" hint="A code such as gdpr-17: it stays in the log, and must not tell of whom it is.">{(ids) => <input {...ids} name="reason" required />}</Field>
      <Field label="What goes">{(ids) => <select {...ids} name="mode"><option value="events">their events</option><option value="fields">what tells of whom they are</option></select>}</Field>
      {preview && (
        <div className="dry-run" role="status">
          <p className="big">{plural(preview.report.removed, "event")} would go, of {count(preview.report.reduced)} a part</p>
          {preview.report.held > 0 && <p className="dim">{plural(preview.report.held, "event")} more are held.</p>}
        </div>
      )}
    </Doing>
  );
}

function Policy({ kept, onClose }: { kept: Kept; onClose: (isDone?: boolean) => void }) {
  const [loaded] = useState(kept);
  const [rows, setRows] = useState(loaded.customRetention.map((row, key) => ({ ...row, key })));
  const daysOf = (data: FormData, name: string) => (String(data.get(name)) === "" ? null : Number(data.get(name)));
  return (
    <Doing title="How long events are kept" onClose={onClose} name="Save" take={async (data) => {
      const own = {
        defaultRetentionDays: daysOf(data, "default"),
        criticalRetentionDays: daysOf(data, "critical"),
        customRetention: rows.map(({ key }) => ({ category: String(data.get(`category ${key}`)), retentionDays: daysOf(data, `days ${key}`) })),
      };
      const changes = changesOf(loaded, own, await get<Kept>("/v1/settings"));
      if (Object.keys(changes).length > 0) {
        await send("PATCH", "/v1/settings", changes);
      }
      onClose(true);
    }}>
      <p className="dim">In days; empty is for ever. It holds from the next clean-up on.</p>
      <div className="form-row">
        <Field label="Most events">{(ids) => <input {...ids} name="default" type="number" min={1} defaultValue={loaded.defaultRetentionDays ?? ""} />}</Field>
        <Field label="Critical events">{(ids) => <input {...ids} name="critical" type="number" min={1} defaultValue={loaded.criticalRetentionDays ?? ""} />}</Field>
      </div>
      {rows.map(({ category, retentionDays, key }) => (
        <div className="form-row" key={key}>
          <Field label="Category">{(ids) => <input {...ids} name={`category ${key}`} required defaultValue={category} />}</Field>
          <Field label="Days">{(ids) => <input {...ids} name={`days ${key}`} type="number" min={1} defaultValue={retentionDays ?? ""} />}</Field>
          <Button kind="quiet" icon="trash" aria-label={`Remove the category ${category}`} onClick={() => setRows(rows.filter((row) => row.key !== key))} />
        </div>
      ))}
      <Button icon="plus" onClick={() => setRows([...rows, { category: "", retentionDays: 30, key: Math.max(0, ...rows.map(({ key }) => key + 1)) }])}>Another category</Button>
    </Doing>
  );
}
