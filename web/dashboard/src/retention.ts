// How long events are kept, and what of it somebody has changed.

export interface Category {
  category: string;
  retentionDays: number | null;
}

export interface Kept {
  defaultRetentionDays: number | null;
  criticalRetentionDays: number | null;
  customRetention: Category[];
}

/**
 * What to send where `loaded` was shown and `own` was made of it, while the settings are `now`: what another has set
 * meanwhile stays. Of the categories there is one list, so it is that of now with the changes made to it.
 */
export function changesOf(loaded: Kept, own: Kept, now: Kept): Record<string, unknown> {
  const days = (["defaultRetentionDays", "criticalRetentionDays"] as const).filter((name) => own[name] !== loaded[name]);
  const find = (list: Category[], wanted: Category) => list.find(({ category }) => category === wanted.category);
  const changed = own.customRetention.filter((row) => find(loaded.customRetention, row)?.retentionDays !== row.retentionDays);
  const gone = loaded.customRetention.filter((row) => !find(own.customRetention, row));
  const kept = now.customRetention.filter((row) => !find(gone, row));
  const categories = [...kept.map((row) => find(changed, row) ?? row), ...changed.filter((row) => !find(kept, row))];
  return {
    ...Object.fromEntries(days.map((name) => [name, own[name] ?? "forever"])),
    ...(changed.length + gone.length > 0 ? { customRetention: categories } : {}),
  };
}
