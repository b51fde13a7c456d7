import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import "@fontsource-variable/geist/wght.css";
import "@fontsource-variable/geist-mono/wght.css";
import "./style.css";
import { asError } from "sealog/live";
import { get, useLoaded, type Caller } from "./api";
import { Seal } from "./icons";
import { currentKey, isKey, setKey, useKey } from "./session";
import { Shell, ThemeButton } from "./shell";
import { Button, Failed, Field, submitted } from "./ui";

function Dashboard() {
  const key = useKey();
  return key === null ? <SignIn /> : <SignedIn key={key} />;
}

function SignedIn() {
  const caller = useLoaded(currentKey(), (signal) => get<Caller>("/v1/caller", {}, signal));
  if (caller.data) {
    return <Shell caller={caller.data} />;
  }
  return (
    <div className="door">
      {caller.error ? (
        <div className="door-card">
          <Failed error={caller.error} retry={caller.reload} />
          <Button kind="quiet" onClick={() => setKey(null)}>Use another key</Button>
        </div>
      ) : (
        <div className="door-wait" role="status" aria-label="Loading"><Seal size={40} /></div>
      )}
    </div>
  );
}

function SignIn() {
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const submit = async (data: FormData) => {
    const key = String(data.get("key")).trim();
    if (!isKey(key)) {
      setError("This is no key: it has letters in it that no key has.");
      return;
    }
    setBusy(true);
    try {
      // Asked with this key alone: only one that is taken is kept.
      const headers = { authorization: `Bearer ${key}` };
      const answer = await fetch("/v1/caller", { headers, cache: "no-store" });
      if (!answer.ok) {
        const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
        throw new Error(problem.detail ?? `The server answered ${answer.status}`);
      }
      setKey(key);
    } catch (cause) {
      setError((cause instanceof TypeError ? asError(cause) : (cause as Error)).message);
      setBusy(false);
    }
  };
  return (
    <main className="door">
      <div className="door-card">
        <Seal size={44} />
        <h1>Open the log</h1>
        <p className="dim">With an API key that reads, or a view token. It stays in this tab and is gone when you close it.</p>
        <form onSubmit={submitted(submit)} className="stack">
          <Field label="Key" error={error}>
            {(ids) => <input {...ids} name="key" type="password" autoComplete="off" spellCheck={false} required autoFocus className="mono" />}
          </Field>
          <Button kind="primary" type="submit" disabled={isBusy}>{isBusy ? "Opening…" : "Open"}</Button>
        </form>
        <p className="hint">
          The first start of <code>sealog serve</code> shows a key on the terminal, or leaves it in <code>audit.db.admin-key</code>.
        </p>
      </div>
      <div className="door-theme"><ThemeButton /></div>
    </main>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Dashboard />
  </StrictMode>,
);
