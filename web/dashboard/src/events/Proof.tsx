// The proof of an event, checked here: the server only hands over the file, and its key where none is given.
import { useState } from "react";
import { SealogError } from "sealog/live";
import type { VerifiedEvent } from "sealog/proof";
import { get, text, type AuditLogEntry, type Tree } from "../api";
import { Button, Copy, count, Field, Mono, submitted, Volatile } from "../ui";
import { Icon } from "../icons";
import { differing } from "./proven";

type State =
  | { name: "idle" }
  | { name: "checking" }
  | { name: "holds"; file: string; proven: VerifiedEvent; vkey: string; isGiven: boolean }
  /** It was checked, and is not so. */
  | { name: "fails"; why: string }
  /** Nothing is known: it could not be checked. */
  | { name: "unknown"; why: string };

/** The key that somebody keeps, for the next event too. */
let kept = "";

export function Proof({ event }: { event: AuditLogEntry }) {
  const [state, setState] = useState<State>({ name: "idle" });
  const check = async () => {
    setState({ name: "checking" });
    try {
      const [{ verifyProof }, file, vkey] = await Promise.all([
        import("sealog/proof"),
        text(`/v1/events/${encodeURIComponent(event.id)}/proof`),
        kept || get<Tree>("/v1/tree").then((tree) => tree.vkey),
      ]);
      const proven = await verifyProof(file, vkey);
      const others = differing(event, proven.event);
      setState(
        others.length === 0
          ? { name: "holds", file, proven, vkey, isGiven: kept !== "" }
          : { name: "fails", why: `what is shown here is not what was sealed: ${others.join(", ")}` },
      );
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const code = cause instanceof SealogError ? cause.code : undefined;
      const unknown = code === "unsupported" ? "This browser cannot check it" : "It could not be checked";
      setState(code === "invalid_proof" ? { name: "fails", why } : { name: "unknown", why: `${unknown}: ${why}.` });
    }
  };
  const own = (
    <details>
      <summary>With the key that you keep</summary>
      <form onSubmit={submitted((data) => ((kept = String(data.get("vkey")).trim()), check()))}>
        <div className="form-row">
          <Field label="Key" hint="Empty: the one that this server names.">
            {(ids) => <input {...ids} name="vkey" className="mono" spellCheck={false} autoComplete="off" placeholder="name+id+key" defaultValue={kept} />}
          </Field>
          <Button type="submit" disabled={state.name === "checking"}>Verify</Button>
        </div>
      </form>
    </details>
  );
  switch (state.name) {
    case "idle":
    case "checking":
      return (
        <div className="proof">
          <p className="dim">
            This browser asks for the event’s proof, computes the root of the tree from the event’s own bytes, checks the
            signature of the checkpoint, and compares what was sealed with what is shown here. The key is the one that this
            server names: with the one that you keep, the result rests on nothing that the server says.
          </p>
          <Button kind="primary" icon="integrity" disabled={state.name === "checking"} onClick={() => void check()}>
            {state.name === "checking" ? "Verifying…" : "Verify in this browser"}
          </Button>
          {own}
        </div>
      );
    case "fails":
    case "unknown":
      return (
        <div className="proof">
          {state.name === "fails" ? (
            <p className="verdict bad" role="alert"><Icon name="findings" size={18} /> Not proven: {state.why}.</p>
          ) : (
            <p className="verdict" role="alert"><Icon name="findings" size={18} /> {state.why}</p>
          )}
          <Button onClick={() => void check()}>Try again</Button>
          {own}
        </div>
      );
  }
  const { checkpoint, seq } = state.proven;
  return (
    <div className="proof">
      <p className="verdict good" role="status"><Icon name="integrity" size={18} /> Proven: it is in the log, unchanged.</p>
      <p className="dim">{state.isGiven ? "It is signed by the key that you gave." : "It is signed by the key that this server names: compare that with the one that you keep."}</p>
      <dl className="fields">
        <div><dt>Place</dt><dd>leaf {count(seq)} of <Volatile>{count(checkpoint.size)}</Volatile></dd></div>
        <div><dt>Log</dt><dd><Mono>{checkpoint.origin}</Mono></dd></div>
        <div><dt>Root</dt><dd><Mono><Volatile>{checkpoint.root}</Volatile></Mono><Copy text={checkpoint.root} label="Copy root" /></dd></div>
        <div><dt>Signed by</dt><dd><Mono><Volatile>{state.vkey}</Volatile></Mono><Copy text={state.vkey} label="Copy key" /></dd></div>
      </dl>
      {own}
      <details>
        <summary>Proof file</summary>
        <pre className="mono" tabIndex={0} aria-label="Proof file" data-volatile>{state.file}</pre>
        <Copy text={state.file} label="Copy proof file" />
      </details>
    </div>
  );
}
