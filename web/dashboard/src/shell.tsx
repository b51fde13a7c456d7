// What is around every page: where one can go, whose log it is, and how the line is.
import { Component, lazy, Suspense, useEffect, useRef, useState, type ReactNode } from "react";
import type { Caller } from "./api";
import { Icon, Seal, type IconName } from "./icons";
import type { Line } from "./live";
import { narrow, useMedia } from "./media";
import { hasMoved, Link, usePath } from "./router";
import { setKey } from "./session";
import { toggleTheme, useTheme } from "./theme";
import { Button, Empty, Loading, Mono, Page } from "./ui";
import Overview from "./pages/Overview";

const Events = lazy(() => import("./pages/Events"));
const Resource = lazy(() => import("./pages/Resource"));
const Actor = lazy(() => import("./pages/Actor"));
const Findings = lazy(() => import("./pages/Findings"));
const Reports = lazy(() => import("./pages/Reports"));
const Retention = lazy(() => import("./pages/Retention"));
const Integrity = lazy(() => import("./pages/Integrity"));
const Settings = lazy(() => import("./pages/Settings"));
const Demo = lazy(() => import("./demo"));

const PAGES: { path: string; name: string; icon: IconName }[] = [
  { path: "", name: "Overview", icon: "overview" },
  { path: "events", name: "Events", icon: "events" },
  { path: "findings", name: "Findings", icon: "findings" },
  { path: "reports", name: "Reports", icon: "reports" },
  { path: "retention", name: "Retention", icon: "retention" },
  { path: "integrity", name: "Integrity", icon: "integrity" },
  { path: "settings", name: "Settings", icon: "settings" },
];

const SAID: Record<Line, string> = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", paused: "Paused", failed: "Not connected" };

export function LiveMark({ line }: { line: Line }) {
  return (
    <span className={`line ${line}`} role="status">
      <i aria-hidden="true" />
      {SAID[line]}
    </span>
  );
}

export function Shell({ caller }: { caller: Caller }) {
  const path = usePath();
  const [first = ""] = path;
  const place = path.join("/");
  /** Where the menu was opened: elsewhere it is closed. */
  const [openAt, setOpenAt] = useState<string>();
  const isOpen = useMedia(narrow) && openAt === place;
  const main = useRef<HTMLElement>(null);
  const menu = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (hasMoved()) {
      scrollTo(0, 0);
    }
  }, [place]);
  useEffect(() => {
    if (!isOpen) {
      return;
    }
    const onKey = ({ key }: KeyboardEvent) => {
      if (key === "Escape") {
        setOpenAt(undefined);
        menu.current?.focus();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [isOpen]);
  return (
    <div className="shell">
      <a className="skip" href="#main" onClick={(clicked) => (clicked.preventDefault(), main.current?.focus())}>Skip to content</a>
      <header className="top">
        <Button kind="quiet" icon="menu" aria-label="Menu" aria-expanded={isOpen} aria-controls="nav" ref={menu} onClick={() => setOpenAt(isOpen ? undefined : place)} />
        <Seal size={22} />
        <span className="brand">Sealog</span>
      </header>
      <nav id="nav" className={`nav ${isOpen ? "open" : ""}`} aria-label="Main">
        <Link href="/" className="brand" aria-label="Sealog, overview">
          <Seal size={26} />
          <span>Sealog</span>
        </Link>
        <ul>
          {PAGES.map(({ path, name, icon }) => (
            <li key={path}>
              <Link href={`/${path}`} title={name} onClick={() => setOpenAt(undefined)} {...(path === first ? { "aria-current": "page" as const } : {})}>
                <Icon name={icon} size={18} />
                <span>{name}</span>
              </Link>
            </li>
          ))}
        </ul>
        <div className="nav-foot">
          <p className="whose">
            <Mono>{caller.origin}</Mono>
            <span className="dim">{caller.name ?? caller.id} · {caller.isAdmin ? "admin" : "reader"}{caller.scopes.length > 0 && ", a part"}</span>
          </p>
          <ThemeButton />
          <Button kind="quiet" icon="out" aria-label="Sign out" title="Sign out" onClick={() => setKey(null)} />
        </div>
      </nav>
      <main id="main" ref={main} tabIndex={-1} inert={isOpen}>
        <Boundary key={place}>
          <Suspense fallback={<Loading lines={6} />}>
            <Routed path={path} caller={caller} />
          </Suspense>
        </Boundary>
      </main>
      {caller.isDemo && (
        <Suspense fallback={null}>
          <Demo isInert={isOpen} />
        </Suspense>
      )}
    </div>
  );
}

function Routed({ path: [first = "", ...rest], caller }: { path: string[]; caller: Caller }): ReactNode {
  switch (first) {
    case "":
      return <Overview />;
    case "events":
      return <Events />;
    case "resources":
      if (rest.length === 2) {
        return <Resource type={rest[0]!} id={rest[1]!} />;
      }
      break;
    case "actors":
      if (rest.length === 1) {
        return <Actor id={rest[0]!} />;
      }
      break;
    case "findings":
      return <Findings caller={caller} />;
    case "reports":
      return <Reports />;
    case "retention":
      return <Retention caller={caller} />;
    case "integrity":
      return <Integrity caller={caller} />;
    case "settings":
      return <Settings caller={caller} />;
  }
  return (
    <Page title="Nothing here">
      <Empty title="There is no such page" icon="search">
        <p>The address may be cut off. <Link href="/">Go to the overview</Link>.</p>
      </Empty>
    </Page>
  );
}

export function ThemeButton() {
  const theme = useTheme();
  const name = theme === "dark" ? "Light colours" : "Dark colours";
  return <Button kind="quiet" icon={theme === "dark" ? "sun" : "moon"} aria-label={name} title={name} onClick={toggleTheme} />;
}

/** A page that breaks says so, and the rest stays. */
class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    return this.state.error ? (
      <Page title="This page broke">
        <div className="failed" role="alert">
          <Icon name="findings" size={20} />
          <div><p>Something in the dashboard went wrong. The log is not touched by it.</p><p className="dim">{this.state.error.message}</p></div>
          <Button onClick={() => location.reload()}>Load it again</Button>
        </div>
      </Page>
    ) : (
      this.props.children
    );
  }
}
