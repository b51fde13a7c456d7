import type { Auth } from "convex/server";
import { AuditLog, exposeAuditLogApi, exposeSealogApi, type Operation } from "sealog-convex";
import { components } from "./_generated/api";

/** What holds for the application's own code holds for browsers as well. */
const options = { piiFields: ["email"] };

export const auditLog = new AuditLog(components.auditLog, options);

/** Whoever is signed in sees what happened to notes; nobody cleans up from a browser. */
async function auth(ctx: { auth: Auth }, { type }: Operation): Promise<string> {
  const user = await ctx.auth.getUserIdentity();
  if (!user || type !== "read") {
    throw new Error("Unauthorized");
  }
  return user.subject;
}

export const { queryByResource, getStats, forwardingStatus } = exposeAuditLogApi(components.auditLog, { ...options, auth });
/** The same of the whole history, from the server. */
export const { queryByResource: wholeHistory } = exposeSealogApi(components.auditLog, { auth });
