import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The repository's root. */
export const ROOT = join(import.meta.dirname, "../../..");

/** A file of vectors, which implementations in every language run. */
export function vectors(name: string): any {
  return JSON.parse(readFileSync(join(ROOT, "contract/vectors", name), "utf8"));
}
