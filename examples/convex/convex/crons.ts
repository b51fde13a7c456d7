import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";

const crons = cronJobs();
crons.interval("clean up the audit log", { hours: 24 }, internal.upkeep.cleanUp);

export default crons;
