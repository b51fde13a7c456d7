import { useEffect, useRef, useState } from "react";
import { asError, type SealogError } from "sealog/live";
import { get, open, useLoaded, type Caller, type Tree } from "../api";
import { useNow } from "../clock";
import { Icon } from "../icons";
import { ago } from "../time";
import { Button, Card, Copy, count, Empty, Failed, Field, Loading, Mono, Page, plural, Progress, submitted, Volatile } from "../ui";

interface Report { size: number; root: string; vkeys: string[]; checkpoints: number; removed: number; reduced: number; trust: string; problems: { seq: number; code: string; message: string; expected: string; found: string }[] }
type State = { name: "idle" } | { name: "running"; checked: number; total: number } | { name: "done"; report: Report; ms: number } | { name: "failed"; error: SealogError };

const REFRESH_MS = 5_000;
const TRUST: Record<string, string> = {
  "self-consistent": "It is consistent with itself. Give a key or a checkpoint that you keep elsewhere, to know more.",
  key: "It is signed by the key that you gave.",
  checkpoint: "It extends the checkpoint that you gave.",
  "key-and-checkpoint": "It is signed by the key and extends the checkpoint that you gave.",
};

/** What the log says of itself under its signature, and whether it is true. */
export default function Integrity({ caller }: { caller: Caller }) {
  const now = useNow(REFRESH_MS);
  const tree = useLoaded("tree", (signal) => get<Tree>("/v1/tree", {}, signal), REFRESH_MS);
  const data = tree.data;
  const isUnknown = tree.error !== undefined && !data;
  return (
    <Page title="Integrity">
      {tree.error && <Failed error={tree.error} retry={tree.reload} />}
      {!isUnknown && (
        <dl className="totals integrity">
          <div className="total all"><dt>Events sealed</dt><dd>{data ? <Volatile>{count(data.size)}</Volatile> : <i className="wait" />}</dd></div>
          <div className="total root">
            <dt>Root</dt>
            <dd>{data ? <><Mono><Volatile>{data.root}</Volatile></Mono><Copy text={data.root} label="Copy root" /></> : <i className="wait" />}</dd>
          </div>
        </dl>
      )}
      <div className="columns two">
        <Verify isWhole={caller.scopes.length === 0} />
        {!isUnknown && (
          <div className="column">
            <Card title="Signed by">
              {!data ? <Loading lines={2} /> : (
                <ul className="plain-list">
                  {[...data.vkeys].reverse().map((vkey, index) => (
                    <li key={vkey}>
                      <span className="dim">{index === 0 ? "now" : "before"}</span>
                      <Mono><Volatile>{vkey}</Volatile></Mono>
                      <Copy text={vkey} label="Copy key" />
                    </li>
                  ))}
                </ul>
              )}
              <p className="hint">Keep the key elsewhere: what is verified with it cannot have been rewritten by whoever holds the log.</p>
            </Card>
            <Card title="Witnesses">
              {!data ? <Loading lines={2} /> : data.witnesses.length === 0 ? (
                <Empty title="No witness is named" icon="integrity"><p>One that is named with <code>--witness</code> signs checkpoints too, so that nobody can be shown another log.</p></Empty>
              ) : (
                <ul className="plain-list">
                  {data.witnesses.map(({ name, size, signedAt }) => (
                    <li key={name}>
                      <span className={`dot ${signedAt === undefined ? "" : "good"}`} aria-hidden="true" />
                      <Mono>{name}</Mono>
                      <span className="dim">{size === undefined ? "has not signed yet" : <>signed <Volatile>{count(size)}, {ago(signedAt!, now)}</Volatile></>}</span>
                    </li>
                  ))}
                </ul>
              )}
            </Card>
          </div>
        )}
      </div>
      {!isUnknown && (
        <Card title="Checkpoints" aside={<span className="dim">the newest that are kept</span>}>
          {!data ? <Loading lines={6} /> : (
            <div className="table-box" tabIndex={0} role="region" aria-label="All checkpoints">
              <table className="table">
                <thead><tr><th scope="col" className="number">Size</th><th scope="col">Root</th><th scope="col"><span className="unseen">Copy</span></th></tr></thead>
                <tbody>
                  {data.checkpoints.map(({ size, root, note }) => (
                    <tr key={size}><td className="number"><Volatile>{count(size)}</Volatile></td><td><Mono><Volatile>{root}</Volatile></Mono></td><td className="tools"><Copy text={note} label={`Copy the checkpoint of size ${size}`} /></td></tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Card>
      )}
    </Page>
  );
}

function Verify({ isWhole }: { isWhole: boolean }) {
  const [state, setState] = useState<State>({ name: "idle" });
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const run = async (data: FormData) => {
    const began = performance.now();
    const controller = (abort.current = new AbortController());
    const vkey = String(data.get("vkey")).trim();
    const note = String(data.get("checkpoint"));
    setState({ name: "running", checked: 0, total: 0 });
    try {
      const body = { ...(vkey ? { vkey } : {}), ...(note.trim() ? { checkpoints: [note.endsWith("\n") ? note : `${note}\n`] } : {}) };
      const response = await open("/v1/verify", body, "text/event-stream", controller.signal);
      for await (const [event, json] of frames(response)) {
        if (event === "progress") {
          setState({ name: "running", ...(json as { checked: number; total: number }) });
        } else if (event === "report") {
          setState({ name: "done", report: json as Report, ms: performance.now() - began });
          return;
        } else if (event === "error") {
          throw new Error(String((json as { detail?: string }).detail));
        }
      }
      throw new Error("the check broke off");
    } catch (cause) {
      if (!controller.signal.aborted) {
        setState({ name: "failed", error: cause instanceof Error && !(cause instanceof TypeError) ? (cause as SealogError) : asError(cause) });
      }
    }
  };
  return (
    <Card title="Verify the whole log" className="verify-card">
      {!isWhole ? <Empty title="Your key shows a part of the log" icon="lock"><p>Each event of it can be proven by itself.</p></Empty> : (
        <form className="stack" onSubmit={submitted(run)}>
          {state.name === "running" ? (
            <Progress label="Events verified" now={state.checked} of={state.total}>
              <p className="big"><Volatile>{count(state.checked)}</Volatile> <span className="dim">of {state.total > 0 ? count(state.total) : "…"} events</span></p>
            </Progress>
          ) : state.name === "done" ? (
            <Result report={state.report} ms={state.ms} />
          ) : (
            <p className="dim">The server reads every event, computes each commitment and the whole tree anew, and compares that with every checkpoint and signature.</p>
          )}
          {state.name === "failed" && <p className="field-error" role="alert">{state.error.message}</p>}
          <details>
            <summary>Hold it against what you keep elsewhere</summary>
            <div className="stack">
              <Field label="Key">{(ids) => <input {...ids} name="vkey" className="mono" spellCheck={false} placeholder="name+id+key" />}</Field>
              <Field label="Checkpoint">{(ids) => <textarea {...ids} name="checkpoint" className="mono" rows={4} spellCheck={false} />}</Field>
            </div>
          </details>
          <div><Button kind="primary" icon="integrity" type="submit" disabled={state.name === "running"}>{state.name === "running" ? "Verifying…" : state.name === "done" ? "Verify again" : "Verify"}</Button></div>
        </form>
      )}
    </Card>
  );
}

function Result({ report, ms }: { report: Report; ms: number }) {
  const isWhole = report.problems.length === 0;
  return (
    <div role="status" className="stack">
      <p className={`verdict ${isWhole ? "good" : "bad"}`}>
        <Icon name={isWhole ? "integrity" : "findings"} size={20} />
        {isWhole ? "Nothing was changed" : plural(report.problems.length, "problem")}
      </p>
      <p>
        <Volatile>{plural(report.size, "event")} and {plural(report.checkpoints, "checkpoint")} in {(ms / 1000).toFixed(1)} s.</Volatile>{" "}
        {report.removed + report.reduced > 0 && `${plural(report.removed + report.reduced, "removal")} covered by receipts. `}
        {TRUST[report.trust] ?? report.trust}
      </p>
      {!isWhole && (
        <ol className="problems">
          {report.problems.slice(0, 50).map((problem, index) => (
            <li key={index}><b>seq {problem.seq}, {problem.code}</b>: {problem.message}<br /><span className="mono">expected {problem.expected}<br />found {problem.found}</span></li>
          ))}
        </ol>
      )}
    </div>
  );
}

async function* frames(response: Response): AsyncGenerator<[string, unknown]> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    const parts = (text + value).split("\n\n");
    text = parts.pop()!;
    for (const part of parts) {
      const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? [];
      if (event !== undefined) {
        yield [event, JSON.parse(data!)];
      }
    }
  }
}
