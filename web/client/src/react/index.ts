"use client";

export { createAuditLogApi, type AuditLogApi, type AuditLogApiOptions, type QueryRef } from "./api.js";
export {
  AnomalyPanel,
  AuditLogViewer,
  DiffView,
  EventList,
  StatsPanel,
  type AnomalyPanelProps,
  type AuditLogViewerProps,
  type DiffViewProps,
  type EventListProps,
  type Labels,
  type StatsPanelProps,
} from "./components.js";
export { formatTimestamp, getSeverityClass, getSeverityColor } from "./format.js";
export {
  useAnomalyDetection,
  useAuditLogByActor,
  useAuditLogByResource,
  useAuditLogQuery,
  useAuditLogSearch,
  useAuditLogStats,
  useWatchCriticalEvents,
  type AuditLogQueryResult,
  type AuditLogSearch,
  type Skip,
} from "./hooks.js";
export type { LiveResult, LiveStatus } from "./streams.js";
export { SealogError } from "../error.js";
export type * from "../types.js";
