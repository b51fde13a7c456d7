// The proof of an event, checked here: the server only hands over the file and its key.
import { useState } from "react";
import type { VerifiedEvent } from "sealog/proof";
import { get, text, type AuditLogEntry, type Tree } from "../api";
import { Button, Copy, count, Mono, Volatile } from "../ui";
import { Icon } from "../icons";

type State = { name: "idle" } | { name: "checking" } | { name: "holds"; file: string; proven: VerifiedEvent; vkey: string } | { name: "fails"; why: string };

export function Proof({ event }: { event: AuditLogEntry }) {
  const [state, setState] = useState<State>({ name: "idle" });
  const check = async () => {
    setState({ name: "checking" });
    try {
      const [{ verifyProof }, file, tree] = await Promise.all([
        import("sealog/proof"),
        text(`/v1/events/${encodeURIComponent(event.id)}/proof`),
        get<Tree>("/v1/tree"),
      ]);
      const proven = await verifyProof(file, tree.vkey);
      if (proven.event.id !== event.id) {
        throw new Error("the proof is of another event");
      }
      setState({ name: "holds", file, proven, vkey: tree.vkey });
    } catch (cause) {
      setState({ name: "fails", why: cause instanceof Error ? cause.message : String(cause) });
    }
  };
  if (state.name === "idle" || state.name === "checking") {
    return (
      <div className="proof">
        <p className="dim">
          This browser asks for the event’s proof, computes the root of the tree from the event’s own bytes, and checks
          the signature of the checkpoint. Nothing of the result is the server’s word.
        </p>
        <Button kind="primary" icon="integrity" disabled={state.name === "checking"} onClick={() => void check()}>
          {state.name === "checking" ? "Verifying…" : "Verify in this browser"}
        </Button>
      </div>
    );
  }
  if (state.name === "fails") {
    return (
      <div className="proof">
        <p className="verdict bad" role="alert"><Icon name="findings" size={18} /> Not proven: {state.why}.</p>
        <Button onClick={() => void check()}>Try again</Button>
      </div>
    );
  }
  const { checkpoint, seq } = state.proven;
  return (
    <div className="proof">
      <p className="verdict good" role="status"><Icon name="integrity" size={18} /> Proven: it is in the log, unchanged.</p>
      <dl className="fields">
        <div><dt>Place</dt><dd>leaf {count(seq)} of <Volatile>{count(checkpoint.size)}</Volatile></dd></div>
        <div><dt>Log</dt><dd><Mono>{checkpoint.origin}</Mono></dd></div>
        <div><dt>Root</dt><dd><Mono><Volatile>{checkpoint.root}</Volatile></Mono><Copy text={checkpoint.root} label="Copy root" /></dd></div>
        <div><dt>Signed by</dt><dd><Mono><Volatile>{state.vkey}</Volatile></Mono><Copy text={state.vkey} label="Copy key" /></dd></div>
      </dl>
      <details>
        <summary>Proof file</summary>
        <pre className="mono" tabIndex={0} aria-label="Proof file" data-volatile>{state.file}</pre>
        <Copy text={state.file} label="Copy proof file" />
      </details>
    </div>
  );
}
