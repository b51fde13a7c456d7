import { internalMutation } from "./_generated/server";
import { auditLog } from "./audit";

/** Removes what was kept as long as the settings say. */
export const cleanUp = internalMutation({
  args: {},
  handler: async (ctx) => {
    await auditLog.cleanup(ctx);
  },
});
