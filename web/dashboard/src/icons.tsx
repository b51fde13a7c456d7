const PATHS = {
  overview: "M3 13h5v8H3zM10 3h4v18h-4zM16 9h5v12h-5z",
  events: "M4 6h16M4 12h16M4 18h10",
  findings: "M12 4 2.8 20h18.4zM12 10v4.5M12 17.4v.1",
  reports: "M6 3h8l5 5v13H6zM14 3v5h5M9.5 13h6M9.5 17h6",
  retention: "M12 21a9 9 0 1 0-9-9M3 5v7h7M12 7.5V12l3 2",
  integrity: "M12 3 4.5 6v6c0 4.6 3.2 7.6 7.5 9 4.3-1.4 7.5-4.4 7.5-9V6zM8.8 12l2.3 2.3 4.2-4.6",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.8v4.4M9 14.8v4.4",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  check: "M5 12.5 10 17.5 19.5 7",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M20.5 20.5 16.2 16.2",
  sun: "M12 7.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M12 2v2M12 20v2M2 12h2M20 12h2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  out: "M10 4H4v16h6M15 8l4 4-4 4M19 12H9",
  download: "M12 4v11M7.5 10.5 12 15l4.5-4.5M4 20h16",
  play: "M7 4.5v15l12-7.5z",
  pause: "M8 5v14M16 5v14",
  plus: "M12 5v14M5 12h14",
  chevron: "M9 6l6 6-6 6",
  down: "M6 9l6 6 6-6",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  bolt: "M13 3 5 13.5h6L11 21l8-10.5h-6z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Seal({ size = 24 }: { size?: number }) {
  return (
    <svg className="seal" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <circle cx="16" cy="16" r="8.6" />
      <path d="M12.2 16.2l2.7 2.7 5-5.4" />
    </svg>
  );
}
