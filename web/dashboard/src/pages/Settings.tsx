import { useRef, useState } from "react";
import { asError, type SealogError } from "sealog/live";
import { get, send, useLoaded, type Caller, type QueryFilters } from "../api";
import { useNow } from "../clock";
import { written } from "../query";
import { Rows, type RowsHandle } from "../rows";
import { ago, date, dateTime } from "../time";
import { Button, Card, Copy, Dialog, Empty, Failed, Field, Loading, Mono, Page, submitted, Volatile } from "../ui";

interface Key { id: string; name: string; role: "admin" | "reader" | "writer"; scope?: QueryFilters; createdAt: number; expiresAt?: number; rotatedAt?: number; revokedAt?: number; lastUsedAt?: number }
interface Rule { name: string; mode?: string }
interface Policy { redactFields?: Rule[]; redactPaths?: { path: string; mode?: string }[]; detectors?: string[]; ipAddress?: string; sampling?: number; [name: string]: unknown }
interface Kept { policy?: Policy }

/** As tall as a row is in the style sheet. */
const ROW = 43;
const COLUMNS = ["Name", "Role", "Scope", "Made", "Last used", "State"];

/** Keys and tokens, and what is hidden and left out. */
export default function Settings({ caller }: { caller: Caller }) {
  const settings = useLoaded(caller.scopes.length === 0 ? "settings" : null, (signal) => get<Kept>("/v1/settings", {}, signal));
  return (
    <Page title="Settings">
      <Keys caller={caller} />
      <div className="columns two">
        <Hidden caller={caller} settings={settings} />
        <div className="column">
          <Sampling caller={caller} settings={settings} />
          <Tokens caller={caller} />
        </div>
      </div>
    </Page>
  );
}

type Loaded = ReturnType<typeof useLoaded<Kept>>;

function Keys({ caller }: { caller: Caller }) {
  const now = useNow();
  const keys = useLoaded(caller.isAdmin ? "keys" : null, (signal) => get<{ keys: Key[] }>("/v1/keys", {}, signal));
  const handle = useRef<RowsHandle | null>(null);
  const [isMaking, setMaking] = useState(false);
  const [secret, setSecret] = useState<{ name: string; key: string }>();
  const [asked, setAsked] = useState<{ key: Key; what: "revoke" | "rotate" }>();
  const [error, setError] = useState<SealogError>();
  const doIt = async ({ key, what }: { key: Key; what: "revoke" | "rotate" }) => {
    try {
      if (what === "revoke") {
        await send("DELETE", `/v1/keys/${key.id}`, undefined);
      } else {
        const made = await send<{ key: string }>("POST", `/v1/keys/${key.id}/rotate`, {});
        setSecret({ name: key.name, key: made.key });
      }
      setAsked(undefined);
      keys.reload();
    } catch (cause) {
      setError(cause as SealogError);
    }
  };
  const ask = (next: { key: Key; what: "revoke" | "rotate" }) => {
    setError(undefined);
    setAsked(next);
  };
  const state = (key: Key) => (key.revokedAt !== undefined ? "taken back" : key.expiresAt !== undefined && key.expiresAt <= now ? "ended" : "valid");
  return (
    <Card title="API keys" aside={caller.isAdmin && <Button kind="primary" icon="plus" onClick={() => setMaking(true)}>New key</Button>}>
      {!caller.isAdmin ? <Empty title="Only administrators see keys" icon="lock" /> : keys.error && !keys.data ? <Failed error={keys.error} retry={keys.reload} /> : !keys.data ? <Loading lines={4} /> : (
        <div className="table-box" tabIndex={0} role="region" aria-label="All keys">
          <div className="table grid-table" role="table" aria-label="All keys" aria-rowcount={keys.data.keys.length + 1}>
            <div role="rowgroup">
              <div role="row" aria-rowindex={1}>
                {COLUMNS.map((column) => <span key={column} role="columnheader">{column}</span>)}
                <span role="columnheader"><span className="unseen">Do</span></span>
              </div>
            </div>
            <Rows
              role="rowgroup"
              count={keys.data.keys.length}
              rowHeight={ROW}
              handle={handle}
              isFitting
              rowKey={(index) => keys.data!.keys.at(-1 - index)!.id}
              row={(index) => {
                // The newest comes first.
                const key = keys.data!.keys.at(-1 - index)!;
                return (
                  <div role="row" aria-rowindex={index + 2} className={state(key) === "valid" ? "" : "ended"}>
                    <span role="rowheader">{key.name} <Mono className="dim"><Volatile>{key.id}</Volatile></Mono></span>
                    <span role="cell"><b className={`role ${key.role}`}>{key.role}</b></span>
                    <span role="cell">{key.scope ? <Mono>{written(key.scope)}</Mono> : <span className="dim">everything</span>}</span>
                    <span role="cell"><Volatile>{date(key.createdAt)}</Volatile></span>
                    <span role="cell"><Volatile>{key.lastUsedAt === undefined ? "never" : ago(key.lastUsedAt, now)}</Volatile></span>
                    <span role="cell">{state(key)}{state(key) === "valid" && key.expiresAt !== undefined && `, until ${date(key.expiresAt)}`}</span>
                    <span role="cell" className="tools">
                      {state(key) === "valid" && (
                        <>
                          <Button kind="quiet" onClick={() => ask({ key, what: "rotate" })} aria-label={`Rotate ${key.name}`}>Rotate</Button>
                          <Button kind="quiet" onClick={() => ask({ key, what: "revoke" })} aria-label={`Take back ${key.name}`}>Take back</Button>
                        </>
                      )}
                    </span>
                  </div>
                );
              }}
            />
          </div>
        </div>
      )}
      {isMaking && <NewKey onClose={() => setMaking(false)} onMade={(made) => (setMaking(false), setSecret(made), keys.reload())} />}
      {secret && <Secret title={`The key ${secret.name}`} secret={secret.key} onClose={() => setSecret(undefined)} />}
      {asked && (
        <Dialog title={asked.what === "revoke" ? `Take ${asked.key.name} back?` : `Rotate ${asked.key.name}?`} onClose={() => setAsked(undefined)}>
          <div className="stack">
            <p>{asked.what === "revoke" ? "It is over at once, with its tokens and streams." : "It gets another secret; the one before works on for a day."}</p>
            {error && <p className="field-error" role="alert">{error.message}</p>}
            <footer className="actions">
              <Button onClick={() => setAsked(undefined)}>Cancel</Button>
              <Button kind={asked.what === "revoke" ? "danger" : "primary"} onClick={() => void doIt(asked)}>{asked.what === "revoke" ? "Take it back" : "Rotate"}</Button>
            </footer>
          </div>
        </Dialog>
      )}
    </Card>
  );
}

function Secret({ title, secret, onClose }: { title: string; secret: string; onClose: () => void }) {
  return (
    <Dialog title={title} onClose={onClose} isKept>
      <div className="stack">
        <p>It is shown this once. The log keeps its hash alone, and nobody can tell it again.</p>
        <p className="secret"><code className="mono" data-volatile>{secret}</code><Copy text={secret} label="Copy key" /></p>
        <footer className="actions"><Button kind="primary" onClick={onClose}>I have it</Button></footer>
      </div>
    </Dialog>
  );
}

function NewKey({ onClose, onMade }: { onClose: () => void; onMade: (made: { name: string; key: string }) => void }) {
  const [error, setError] = useState<SealogError>();
  const [role, setRole] = useState("writer");
  const make = async (data: FormData) => {
    try {
      const q = String(data.get("scope") ?? "").trim();
      const scope = q === "" ? undefined : await get<QueryFilters>("/v1/filter", { q });
      const name = String(data.get("name"));
      const days = String(data.get("days"));
      const expiresAt = days === "" ? undefined : Date.now() + Number(days) * 86_400_000;
      const made = await send<{ key: string }>("POST", "/v1/keys", { name, role, scope, expiresAt });
      onMade({ name, key: made.key });
    } catch (cause) {
      setError(cause as SealogError);
    }
  };
  return (
    <Dialog title="New key" onClose={onClose}>
      <form className="stack" onSubmit={submitted(make)}>
        <Field label="Name">{(ids) => <input {...ids} name="name" required maxLength={200} placeholder="billing" />}</Field>
        <Field label="Role" hint={role === "writer" ? "Logs events, and reads nothing." : role === "reader" ? "Reads, and mints view tokens." : "Does everything."}>
          {(ids) => <select {...ids} value={role} onChange={(changed) => setRole(changed.target.value)}><option>writer</option><option>reader</option><option>admin</option></select>}
        </Field>
        {role !== "admin" && <Field label="Scope" hint={role === "writer" ? "One tenant, which every event is given: tenant:acme. Empty: any." : "Nothing else exists for it. Empty: everything."}>{(ids) => <input {...ids} name="scope" className="mono" spellCheck={false} />}</Field>}
        <Field label="Ends after so many days" hint="Empty: never.">{(ids) => <input {...ids} name="days" type="number" min={1} />}</Field>
        {error && <p className="field-error" role="alert">{error.message}</p>}
        <footer className="actions"><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit">Make the key</Button></footer>
      </form>
    </Dialog>
  );
}

/** Changes the fields that are hidden, as they are now: another may have hidden some since they were loaded. */
async function changeFields(change: (fields: Rule[]) => Rule[]): Promise<void> {
  const { policy } = await get<Kept>("/v1/settings");
  await send("PATCH", "/v1/settings", { policy: { redactFields: change(policy?.redactFields ?? []) } });
}

function Hidden({ caller, settings }: { caller: Caller; settings: Loaded }) {
  const [error, setError] = useState<SealogError>();
  const [shownAgain, setShownAgain] = useState<string>();
  // Where nothing was ever set, there is none.
  const policy = settings.data && (settings.data.policy ?? {});
  const change = async (next: (fields: Rule[]) => Rule[]): Promise<boolean> => {
    setError(undefined);
    try {
      await changeFields(next);
      settings.reload();
      return true;
    } catch (cause) {
      setError(asError(cause));
      return false;
    }
  };
  return (
    <Card title="Personal data">
      <p className="dim">Hidden before anything is written, beside some fifty names that always are: password, token, apiKey …</p>
      {caller.scopes.length > 0 ? <Empty title="Settings are of the whole log" icon="lock" /> : settings.error && !policy ? <Failed error={settings.error} retry={settings.reload} /> : !policy ? <Loading lines={4} /> : (
        <>
          <ul className="plain-list">
            {(policy.redactFields ?? []).map(({ name, mode = "redact" }) => (
              <li key={name}>
                <Mono>{name}</Mono><span className="dim">{mode}</span>
                {caller.isAdmin && <Button kind="quiet" icon="trash" aria-label={`Hide ${name} no more`} onClick={() => (setError(undefined), setShownAgain(name))} />}
              </li>
            ))}
            {(policy.redactPaths ?? []).map(({ path, mode = "redact" }) => <li key={path}><Mono>{path}</Mono><span className="dim">{mode}</span></li>)}
            {(policy.detectors ?? []).map((detector) => <li key={detector}><span>what looks like <Mono>{detector}</Mono></span><span className="dim">wherever it stands</span></li>)}
            {policy.ipAddress && policy.ipAddress !== "keep" && <li><span>IP addresses</span><span className="dim">{policy.ipAddress}</span></li>}
          </ul>
          {(policy.redactFields ?? []).length === 0 && <p className="hint">No field of your own yet.</p>}
          {error && shownAgain === undefined && <p className="field-error" role="alert">{error.message}</p>}
          {shownAgain !== undefined && (
            <Dialog title={`Hide ${shownAgain} no more?`} onClose={() => setShownAgain(undefined)}>
              <div className="stack">
                <p>What comes from now on is written as it is, and stays so. What was hidden stays hidden.</p>
                {error && <p className="field-error" role="alert">{error.message}</p>}
                <footer className="actions">
                  <Button onClick={() => setShownAgain(undefined)}>Cancel</Button>
                  <Button
                    kind="danger"
                    onClick={() => void change((fields) => fields.filter(({ name }) => name !== shownAgain)).then((isDone) => isDone && setShownAgain(undefined))}
                  >
                    Hide it no more
                  </Button>
                </footer>
              </div>
            </Dialog>
          )}
          {caller.isAdmin && (
            <form className="form-row" onSubmit={(event) => {
              const form = event.currentTarget;
              submitted(async (data) => {
                const made = { name: String(data.get("name")).trim(), mode: String(data.get("mode")) };
                if (await change((fields) => [...fields.filter(({ name }) => name !== made.name), made])) {
                  form.reset();
                }
              })(event);
            }}>
              <Field label="Field">{(ids) => <input {...ids} name="name" required placeholder="dateOfBirth" spellCheck={false} />}</Field>
              <Field label="How">{(ids) => <select {...ids} name="mode"><option>redact</option><option>mask</option><option>hash</option><option>remove</option></select>}</Field>
              <Button type="submit" icon="plus">Hide it</Button>
            </form>
          )}
        </>
      )}
    </Card>
  );
}

function Sampling({ caller, settings }: { caller: Caller; settings: Loaded }) {
  const [error, setError] = useState<SealogError>();
  const [saved, setSaved] = useState(false);
  const policy = settings.data && (settings.data.policy ?? {});
  const rate = policy?.sampling ?? 1;
  const save = async (data: FormData) => {
    setError(undefined);
    setSaved(false);
    try {
      const share = Number(data.get("share")) / 100;
      await send("PATCH", "/v1/settings", { policy: { sampling: share } });
      settings.reload();
      setSaved(true);
    } catch (cause) {
      setError(cause as SealogError);
    }
  };
  return (
    <Card title="Sampling">
      {caller.scopes.length > 0 ? <Empty title="Settings are of the whole log" icon="lock" /> : settings.error && !policy ? <Failed error={settings.error} retry={settings.reload} /> : !policy ? <Loading lines={2} /> : (
        <form key={rate} className="stack" onSubmit={submitted(save)}>
          <p className="dim">Which share of <code>info</code> events is kept. Warnings and worse always are.</p>
          <div className="form-row">
            <Field label="Kept, in per cent">{(ids) => <input {...ids} name="share" type="number" min={0} max={100} step="any" required readOnly={!caller.isAdmin} defaultValue={Number((rate * 100).toPrecision(12))} />}</Field>
            {caller.isAdmin && <Button type="submit">Save</Button>}
          </div>
          {error && <p className="field-error" role="alert">{error.message}</p>}
          {saved && <p className="hint" role="status">Saved. It holds for what comes from now on.</p>}
        </form>
      )}
    </Card>
  );
}

function Tokens({ caller }: { caller: Caller }) {
  const [error, setError] = useState<SealogError>();
  const [token, setToken] = useState<{ token: string; expiresAt: number }>();
  const mint = async (data: FormData) => {
    setError(undefined);
    try {
      const scope = await get<QueryFilters>("/v1/filter", { q: String(data.get("scope")) });
      const subject = String(data.get("subject")).trim();
      setToken(await send("POST", "/v1/tokens", { scope, ttlMs: Number(data.get("minutes")) * 60_000, ...(subject ? { subject } : {}) }));
    } catch (cause) {
      setError(cause as SealogError);
    }
  };
  return (
    <Card title="View tokens">
      {caller.kind !== "api_key" ? <Empty title="A token mints no tokens" icon="lock" /> : (
        <form className="stack" onSubmit={submitted(mint)}>
          <p className="dim">For a browser: it reads what the scope selects, for a short time. It is stored nowhere.</p>
          <Field label="Scope">{(ids) => <input {...ids} name="scope" className="mono" required placeholder="tenant:acme" spellCheck={false} />}</Field>
          <div className="form-row">
            <Field label="For whom">{(ids) => <input {...ids} name="subject" />}</Field>
            <Field label="Minutes">{(ids) => <input {...ids} name="minutes" type="number" min={1} max={1440} required defaultValue={15} />}</Field>
            <Button type="submit">Mint</Button>
          </div>
          {error && <p className="field-error" role="alert">{error.message}</p>}
          {token && <p className="secret" role="status"><code className="mono" data-volatile>{token.token}</code><Copy text={token.token} label="Copy token" /><span className="hint">until {dateTime(token.expiresAt)}</span></p>}
        </form>
      )}
    </Card>
  );
}
