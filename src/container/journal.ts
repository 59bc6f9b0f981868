/**
 * A container's log in systemd's journal: conmon writes each line with the container's id beside it, journalctl(1) reads
 * them back, one JSON object to a line (systemd.io, "Journal Export Formats").
 */
import { existsSync } from "node:fs";
import { oneLine, UserError } from "../base/errors.ts";
import { findProgram } from "../base/programs.ts";
import type { LogLine } from "./logs.ts";

const SOCKET = "/run/systemd/journal/socket";

/** True where there is a journal to write to, and a program that reads it. */
export const hasJournal = () => existsSync(SOCKET) && findProgram("journalctl") !== undefined;

/** Of syslog(3); conmon has no other way to tell the streams apart. */
const ERROR = "3";

/** One line of journalctl's JSON; undefined for one that is no line of a container's. */
export function parseJournalLine(text: string): (LogLine & { cursor: string }) | undefined {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof entry !== "object" || entry === null) return undefined;
  const { MESSAGE: message, PRIORITY: priority, __REALTIME_TIMESTAMP: time, __CURSOR: cursor } = entry;
  const words = messageText(message);
  if (words === undefined || typeof time !== "string" || !/^\d{10,17}$/.test(time)) return undefined;
  return {
    time: timeText(BigInt(time)),
    stream: priority === ERROR ? "stderr" : "stdout",
    // conmon leaves a line its end.
    text: words.replace(/\n$/, ""),
    partial: entry.CONTAINER_PARTIAL_MESSAGE === "true",
    cursor: typeof cursor === "string" ? cursor : "",
  };
}

/** Text, or an array of bytes where the message is none. */
function messageText(message: unknown): string | undefined {
  if (typeof message === "string") return message;
  const isBytes =
    Array.isArray(message) && message.every(one => Number.isInteger(one) && one >= 0 && one < 256);
  return isBytes ? Buffer.from(message as number[]).toString() : undefined;
}

/** Microseconds since 1970 as RFC 3339. */
function timeText(microseconds: bigint): string {
  const date = new Date(Number(microseconds / 1000n)).toISOString();
  return `${date.slice(0, 20)}${String(microseconds % 1_000_000n).padStart(6, "0")}000+00:00`;
}

/** The lines of one container, each time those that have come since. */
export class JournalReader {
  private cursor = "";

  constructor(private readonly id: string) {}

  *rest(): Generator<LogLine> {
    const journalctl = findProgram("journalctl");
    if (!journalctl)
      throw new UserError("the log is in the journal, and journalctl is not installed to read it", {
        hint: "install systemd",
      });
    const after = this.cursor ? [`--after-cursor=${this.cursor}`] : [];
    const words = [journalctl, "--quiet", "--no-pager", "--all", "--output=json", ...after];
    const child = Bun.spawnSync([...words, `CONTAINER_ID_FULL=${this.id}`], {
      stdout: "pipe",
      stderr: "pipe",
      maxBuffer: Number.MAX_SAFE_INTEGER,
    });
    if (child.exitCode !== 0)
      throw new UserError(`can't read the journal: ${oneLine(child.stderr.toString())}`);
    for (const text of child.stdout.toString().split("\n")) {
      const line = parseJournalLine(text);
      if (!line) continue;
      this.cursor = line.cursor || this.cursor;
      yield line;
    }
  }
}
