import { v } from "convex/values";
import { AuditActions } from "sealog-convex";
import { mutation, query, type MutationCtx } from "./_generated/server";
import { auditLog } from "./audit";

const MAX_TITLE_CHARS = 100;

async function signedIn(ctx: MutationCtx): Promise<string> {
  const user = await ctx.auth.getUserIdentity();
  if (!user) {
    throw new Error("Sign in first");
  }
  return user.subject;
}

export const list = query({
  args: {},
  handler: (ctx) => ctx.db.query("notes").order("desc").take(100),
});

export const create = mutation({
  args: { title: v.string() },
  handler: async (ctx, { title }) => {
    const actorId = await signedIn(ctx);
    const noteId = await ctx.db.insert("notes", { title, text: "" });
    const after = await ctx.db.get(noteId);
    await auditLog.logChange(ctx, {
      action: AuditActions.RECORD_CREATED,
      actorId,
      resourceType: "notes",
      resourceId: noteId,
      after,
    });
    return noteId;
  },
});

/** The note is changed and the log says so, or neither: what throws here takes both back. */
export const save = mutation({
  args: { noteId: v.id("notes"), title: v.string(), text: v.string() },
  handler: async (ctx, { noteId, title, text }) => {
    const actorId = await signedIn(ctx);
    const before = await ctx.db.get(noteId);
    await ctx.db.patch(noteId, { title, text });
    const after = await ctx.db.get(noteId);
    await auditLog.logChange(ctx, {
      action: AuditActions.RECORD_UPDATED,
      actorId,
      resourceType: "notes",
      resourceId: noteId,
      before,
      after,
    });
    if (title.length > MAX_TITLE_CHARS) {
      throw new Error(`A title has at most ${MAX_TITLE_CHARS} characters`);
    }
  },
});
