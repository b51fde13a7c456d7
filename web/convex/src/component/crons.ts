import { cronJobs } from "convex/server";
import { internal } from "./_generated/api.js";

const crons = cronJobs();

// Actions run at most once: what was lost with one goes on here, what has become old goes, and counters are put together.
crons.interval("maintain", { minutes: 10 }, internal.forwarding.maintain);

export default crons;
