// What an application sets where the component's own settings say nothing.
import type { RedactionOptions } from "sealog/policy";
import { checkDays, type Defaults } from "../component/validators.js";

export interface AuditLogOptions extends RedactionOptions {
  /** How many days events are kept where `updateConfig` did not say it. Default: 90. */
  defaultRetentionDays?: number;
  /** The same of critical ones. Default: 365. */
  criticalRetentionDays?: number;
  samplingEnabled?: boolean;
  /** Which share of `info` events is kept, 0 to 1. Changes, and all that is more than `info`, are always kept. */
  samplingRate?: number;
}

/** What `log` is told of sampling. */
export function samplingOf({ samplingEnabled, samplingRate }: AuditLogOptions): { sampling?: number } {
  return samplingEnabled && samplingRate !== undefined ? { sampling: samplingRate } : {};
}

/** For how long events are kept unless the settings say it. */
export function retentionOf(options: AuditLogOptions): Defaults {
  const { defaultRetentionDays, criticalRetentionDays } = options;
  checkDays(defaultRetentionDays, criticalRetentionDays);
  return {
    ...(defaultRetentionDays === undefined ? {} : { defaultRetentionDays }),
    ...(criticalRetentionDays === undefined ? {} : { criticalRetentionDays }),
  };
}
