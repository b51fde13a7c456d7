import type { AuditLogConfig, ConfigOptions, Settings } from "./types.js";

/** The policy's parts that have a name of their own here. */
interface Policy {
  redactFields?: { name: string }[];
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

/** What changes the settings: a JSON Merge Patch (RFC 7396). */
export function settingsPatch(options: ConfigOptions): Record<string, unknown> {
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
  if (piiFieldsToRedact || sampling !== undefined) {
    patch.policy = {
      ...settings?.policy,
      ...(sampling === undefined ? {} : { sampling }),
      ...(piiFieldsToRedact ? { redactFields: piiFieldsToRedact.map((field) => (typeof field === "string" ? { name: field } : field)) } : {}),
    };
  }
  return patch;
}
