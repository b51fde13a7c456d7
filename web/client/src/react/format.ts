import type { Severity } from "../types.js";

/** A time as people read it where they are. */
export function formatTimestamp(timestamp: number): string {
  return new Date(timestamp).toLocaleString();
}

/** The class by which a stylesheet knows a severity: `audit-severity-critical`. */
export function getSeverityClass(severity: Severity): string {
  return `audit-severity-${Object.hasOwn(COLORS, severity) ? severity : "info"}`;
}

/** A color for a severity, dark enough to be read on white. */
export function getSeverityColor(severity: Severity): string {
  return Object.hasOwn(COLORS, severity) ? COLORS[severity] : COLORS.info;
}

/** At least 4.5 : 1 on white, as WCAG 2.2 asks of text. */
const COLORS: Record<Severity, string> = {
  critical: "#b91c1c",
  error: "#c2410c",
  warning: "#a16207",
  info: "#1d4ed8",
};
