// The parts that pages are made of.
import { useEffect, useId, useRef, useState, type ButtonHTMLAttributes, type ReactNode, type Ref } from "react";
import type { SealogError } from "sealog/live";
import { Icon, type IconName } from "./icons";
import type { Severity } from "./api";
import { hasMoved } from "./router";

export const SEVERITIES: Severity[] = ["critical", "error", "warning", "info"];
export const count = (value: number) => value.toLocaleString("en-US");

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & { kind?: "plain" | "primary" | "danger" | "quiet"; icon?: IconName; ref?: Ref<HTMLButtonElement> };

export function Button({ kind = "plain", icon, children, className = "", ...rest }: ButtonProps) {
  return (
    <button type="button" className={`button ${kind} ${children === undefined ? "bare" : ""} ${className}`} {...rest}>
      {icon && <Icon name={icon} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}

export function Card({ title, aside, children, className = "", id }: { title?: ReactNode; aside?: ReactNode; children: ReactNode; className?: string; id?: string }) {
  const label = useId();
  return (
    <section className={`card ${className}`} id={id} {...(title ? { "aria-labelledby": label } : {})}>
      {title && (
        <header>
          <h2 id={label}>{title}</h2>
          {aside}
        </header>
      )}
      {children}
    </section>
  );
}

export function Page({ title, kicker, aside, children }: { title: ReactNode; kicker?: ReactNode; aside?: ReactNode; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const name = typeof title === "string" ? title : undefined;
  useEffect(() => {
    document.title = name ? `${name} · Sealog` : "Sealog";
  }, [name]);
  // Whoever follows a link by keyboard or ear goes on from the page's name.
  useEffect(() => {
    if (hasMoved()) {
      heading.current?.focus({ preventScroll: true });
    }
  }, []);
  return (
    <>
      <header className="page-head">
        <div>
          {kicker && <p className="kicker">{kicker}</p>}
          <h1 ref={heading} tabIndex={-1}>{title}</h1>
        </div>
        {aside && <div className="page-aside">{aside}</div>}
      </header>
      {children}
    </>
  );
}

export function SeverityMark({ severity, withName = true }: { severity: Severity; withName?: boolean }) {
  return (
    <span className={`severity ${severity}`} title={severity}>
      <i aria-hidden="true" />
      {withName ? severity : <span className="unseen">{severity}</span>}
    </span>
  );
}

export function Mono({ children, className = "" }: { children: ReactNode; className?: string }) {
  return <code className={`mono ${className}`}>{children}</code>;
}

/** Text that is another one at each run: what pictures of the page leave out. */
export function Volatile({ children }: { children: ReactNode }) {
  return <span data-volatile>{children}</span>;
}

export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const [told, setTold] = useState<"Copied" | "Could not copy">();
  const timer = useRef<number>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    clearTimeout(timer.current);
    try {
      // Where the page came over plain HTTP, there is no clipboard at all.
      await navigator.clipboard.writeText(text);
      setTold("Copied");
    } catch {
      setTold("Could not copy");
    }
    timer.current = window.setTimeout(() => setTold(undefined), 2_500);
  };
  return (
    <button type="button" className="copy" aria-label={label} title={label} onClick={() => void copy()}>
      <Icon name={told === "Copied" ? "check" : "copy"} size={14} />
      <span className={told === "Could not copy" ? "copy-told" : "unseen"} role="status">{told}</span>
    </button>
  );
}

export function Empty({ title, children, icon = "events" }: { title: string; children?: ReactNode; icon?: IconName }) {
  return (
    <div className="empty">
      <Icon name={icon} size={28} />
      <p className="empty-title">{title}</p>
      {children && <div className="empty-text">{children}</div>}
    </div>
  );
}

const SAID: Record<string, string> = {
  network: "The server cannot be reached. It may be restarting.",
  timeout: "The server did not answer in time.",
  forbidden: "Your key does not reach this far.",
};

export function Failed({ error, retry }: { error: SealogError; retry?: () => void }) {
  return (
    <div className="failed" role="alert">
      <Icon name="findings" size={20} />
      <div>
        <p>{SAID[error.code] ?? "This cannot be shown."}</p>
        {!(error.code in SAID && error.code !== "forbidden") && <p className="dim">{error.message}</p>}
      </div>
      {retry && <Button onClick={retry}>Try again</Button>}
    </div>
  );
}

export function Loading({ lines = 3, label = "Loading" }: { lines?: number; label?: string }) {
  return (
    <div className="loading" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, index) => (
        <i key={index} />
      ))}
    </div>
  );
}

export function Field({ label, hint, error, children }: { label: string; hint?: ReactNode; error?: string | undefined; children: (ids: { id: string; "aria-describedby"?: string; "aria-invalid"?: true }) => ReactNode }) {
  const id = useId();
  const described = error ? `${id}-error` : hint ? `${id}-hint` : undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, ...(described ? { "aria-describedby": described } : {}), ...(error ? { "aria-invalid": true as const } : {}) })}
      {error ? <p id={`${id}-error`} className="field-error" role="alert">{error}</p> : hint && <p id={`${id}-hint`} className="hint">{hint}</p>}
    </div>
  );
}

export function Tabs<T extends string>({ label, tabs, value, onChange }: { label: string; tabs: readonly { value: T; label: string }[]; value: T; onChange: (value: T) => void }) {
  return (
    <div className="segments" role="group" aria-label={label}>
      {tabs.map((tab) => (
        <button key={tab.value} type="button" aria-pressed={tab.value === value} onClick={() => onChange(tab.value)}>
          {tab.label}
        </button>
      ))}
    </div>
  );
}

interface DialogProps {
  title: ReactNode;
  onClose: () => void;
  children: ReactNode;
  className?: string;
  /** Whether it stays until a button of its own closes it: what it shows is not shown again. */
  isKept?: boolean;
}

/** A window over the page, with the browser's own handling of focus and Escape. */
export function Dialog({ title, onClose, children, className = "", isKept = false }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  /** Whether the pointer went down beside it: who selects text and lets go out there does not want it closed. */
  const isBeside = useRef(false);
  const label = useId();
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const shown = dialog.current!;
    const before = document.activeElement;
    shown.showModal();
    const onEnd = () => close.current();
    shown.addEventListener("close", onEnd);
    return () => {
      shown.removeEventListener("close", onEnd);
      shown.close();
      if (before instanceof HTMLElement) {
        before.focus();
      }
    };
  }, []);
  useEffect(() => {
    if (!isKept) {
      return;
    }
    // Browsers let a second Escape through what only forbids to cancel.
    const onKey = (pressed: KeyboardEvent) => pressed.key === "Escape" && pressed.preventDefault();
    document.addEventListener("keydown", onKey, true);
    return () => document.removeEventListener("keydown", onKey, true);
  }, [isKept]);
  return (
    <dialog
      ref={dialog}
      className={`dialog ${className}`}
      aria-labelledby={label}
      onCancel={(cancelled) => isKept && cancelled.preventDefault()}
      onPointerDown={(pressed) => (isBeside.current = pressed.target === dialog.current)}
      onClick={(clicked) => !isKept && isBeside.current && clicked.target === dialog.current && dialog.current.close()}
    >
      <div className="dialog-body">
        <header>
          <h2 id={label}>{title}</h2>
          {!isKept && <Button kind="quiet" icon="close" aria-label="Close" onClick={() => dialog.current?.close()} />}
        </header>
        {children}
      </div>
    </dialog>
  );
}

export function Bar({ share, className = "" }: { share: number; className?: string }) {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    bar.current?.style.setProperty("--share", String(share));
  }, [share]);
  return <i ref={bar} className={`bar ${className}`} aria-hidden="true" />;
}

/** How far something is, in its units; `now` and `of` are left out where nobody knows. */
export function Progress({ label, now, of, children }: { label: string; now?: number | undefined; of?: number | undefined; children: ReactNode }) {
  const share = now === undefined || !of ? undefined : Math.min(1, now / of);
  return (
    <div className="progress">
      {children}
      <div
        className={`meter ${share === undefined ? "endless" : ""}`}
        role="progressbar"
        aria-label={label}
        {...(share === undefined ? {} : { "aria-valuenow": Math.round(share * 100), "aria-valuetext": `${count(Math.min(now!, of!))} of ${count(of!)}` })}
      >
        <Bar share={share ?? 1} />
      </div>
    </div>
  );
}

/** What a form holds, when it is sent. */
export function submitted(take: (data: FormData) => void | Promise<void>) {
  return (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    void take(new FormData(event.currentTarget));
  };
}
