import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";

const WEEK = 7 * 24 * 60 * 60;

const crons = cronJobs();

crons.daily("purge what Isthmus keeps", { hourUTC: 3, minuteUTC: 30 }, internal.isthmus.purge, { keep_seconds: WEEK });

export default crons;
