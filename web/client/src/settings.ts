import { normalize } from "./redact.js";
import type { AuditLogConfig, ConfigOptions, Settings } from "./types.js";

/** The policy's parts that have a name of their own here. */
interface Policy {
  redactFields?: { name: string; mode?: string }[];
  sampling?: number;
}

/** The settings by the names that callers know. */
export function configOf(settings: Settings): AuditLogConfig {
  const { redactFields = [], sampling = 1 }: Policy = settings.policy ?? {};
  return {
    defaultRetentionDays: settings.defaultRetentionDays ?? null,
    criticalRetentionDays: settings.criticalRetentionDays ?? null,
    customRetention: (settings.customRetention ?? []).map(({ category, retentionDays = null }) => ({ category, retentionDays })),
    piiFieldsToRedact: redactFields.map(({ name }) => name),
    samplingEnabled: sampling < 1,
    samplingRate: sampling,
    settings,
  };
}

/** What changes the settings: a JSON Merge Patch (RFC 7396). A field that is only named is hidden as `known` has it. */
export function settingsPatch(options: ConfigOptions, known?: Settings): Record<string, unknown> {
  const { piiFieldsToRedact, samplingEnabled, samplingRate, customRetention, settings } = options;
  const patch: Record<string, unknown> = { ...settings };
  for (const name of ["defaultRetentionDays", "criticalRetentionDays"] as const) {
    if (options[name] !== undefined) {
      // In a patch `null` brings back the default.
      patch[name] = options[name] ?? "forever";
    }
  }
  if (customRetention) {
    patch.customRetention = customRetention;
  }
  const sampling = samplingEnabled === false ? 1 : samplingRate;
  const { redactFields = [] }: Policy = known?.policy ?? {};
  const modes = new Map(redactFields.map(({ name, mode }) => [normalize(name), mode]));
  const hiding = (name: string) => ({ name, mode: modes.get(normalize(name)) });
  if (piiFieldsToRedact || sampling !== undefined) {
    patch.policy = {
      ...settings?.policy,
      ...(sampling === undefined ? {} : { sampling }),
      ...(piiFieldsToRedact
        ? { redactFields: piiFieldsToRedact.map((field) => (typeof field === "string" ? hiding(field) : field)) }
        : {}),
    };
  }
  return patch;
}
