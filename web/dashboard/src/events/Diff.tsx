import { useState } from "react";
import type { AuditLogEntry } from "../api";
import { Tabs } from "../ui";

type Op = NonNullable<AuditLogEntry["changes"]>[number];

/** `/a/b~1c/0` as people write it: `a.b/c.0` */
function path(pointer: string): string {
  return pointer === "" ? "(the whole)" : pointer.slice(1).split("/").map((part) => part.replace(/~1/g, "/").replace(/~0/g, "~")).join(".");
}

export function value(json: unknown): string {
  return json === undefined ? "" : typeof json === "string" ? JSON.stringify(json) : JSON.stringify(json, null, 2);
}

export function Diff({ changes }: { changes: Op[] }) {
  const [form, setForm] = useState<"side" | "inline">("side");
  return (
    <div className="diff">
      <Tabs label="How changes are shown" value={form} onChange={setForm} tabs={[{ value: "side", label: "Side by side" }, { value: "inline", label: "Inline" }]} />
      {form === "side" ? <Side changes={changes} /> : <Inline changes={changes} />}
    </div>
  );
}

function Side({ changes }: { changes: Op[] }) {
  return (
    <table className="diff-side">
      <thead>
        <tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr>
      </thead>
      <tbody>
        {changes.map(({ op, path: pointer, old, value: now }) => (
          <tr key={pointer}>
            <th scope="row" className="mono">{path(pointer)}</th>
            <td>{op === "add" ? <span className="dim">—</span> : <del className="mono">{value(old)}</del>}</td>
            <td>{op === "remove" ? <span className="dim">—</span> : <ins className="mono">{value(now)}</ins>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Inline({ changes }: { changes: Op[] }) {
  return (
    <div className="diff-inline mono">
      {changes.map(({ op, path: pointer, old, value: now }) => (
        <div key={pointer}>
          {op !== "add" && <del><i aria-hidden="true">−</i> {path(pointer)}: {value(old)}</del>}
          {op !== "remove" && <ins><i aria-hidden="true">+</i> {path(pointer)}: {value(now)}</ins>}
        </div>
      ))}
    </div>
  );
}
