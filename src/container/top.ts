/** The processes of a container, in Podman's default columns, read from the host's /proc (proc(5)). */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { type Container, statusOf } from "./config.ts";
import { isPinned } from "./pins.ts";
import { resolveInRoot } from "./user.ts";

const TICKS = 100;
const HEADING = ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"];

/** A heading and a row for each process in the container's pid namespace. */
export function topOf(container: Container): string[][] {
  const { pid } = container.state;
  const runs = statusOf(container) === "running";
  if (runs && isPinned(container)) return [HEADING];
  if (!runs || pid <= 0) throw new UserError("top can only be used on running containers");
  const namespace = readlinkSync(`/proc/${pid}/ns/pid`);
  const names = userNames(pid);
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const rows: { order: number; words: string[] }[] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readlinkSync(`/proc/${entry}/ns/pid`) !== namespace) continue;
      rows.push(processRow(entry, names, uptime));
    } catch {
      // It ended while we looked.
    }
  }
  rows.sort((a, b) => a.order - b.order);
  return [HEADING, ...rows.map(({ words }) => words)];
}

function processRow(
  entry: string,
  names: Map<string, string>,
  uptime: number,
): { order: number; words: string[] } {
  const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${entry}/status`, "utf8");
  const value = (key: string) => new RegExp(`^${key}:\\s+(.*)$`, "m").exec(status)?.[1]?.split(/\s+/) ?? [];
  const inner = value("NSpid").at(-1) ?? entry;
  const elapsed = Math.max(0, uptime - Number(fields[19]) / TICKS);
  const cpu = (Number(fields[11]) + Number(fields[12])) / TICKS;
  const command = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0").filter(Boolean).join(" ");
  return {
    order: Number(inner),
    words: [
      names.get(value("Uid")[0] ?? "") ?? value("Uid")[0] ?? "?",
      inner,
      innerParent(fields[1]!),
      (elapsed > 0 ? (100 * cpu) / elapsed : 0).toFixed(3),
      goDuration(elapsed),
      terminal(Number(fields[4])),
      goDuration(cpu),
      command || `[${value("Name")[0]}]`,
    ],
  };
}

/** The parent's pid as the container sees it; 0 for a parent outside. */
function innerParent(pid: string): string {
  try {
    const line = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
    const pids = line.split(/\s+/);
    return pids.length > 1 ? pids.at(-1)! : "0";
  } catch {
    return "0";
  }
}

/** `1h2m3.5s`, as Go prints durations. */
export function goDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = `${Number((seconds - hours * 3600 - minutes * 60).toFixed(2))}s`;
  return hours > 0 ? `${hours}h${minutes}m${rest}` : minutes > 0 ? `${minutes}m${rest}` : rest;
}

/** A tty by its device number (proc(5), tty_nr). */
function terminal(number: number): string {
  const major = (number >> 8) & 0xfff;
  const minor = (number & 0xff) | ((number >> 12) & 0xfff00);
  return number === 0 ? "?" : major >= 136 && major <= 143 ? `pts/${minor}` : `tty${minor}`;
}

function userNames(pid: number): Map<string, string> {
  try {
    const text = readFileSync(resolveInRoot(`/proc/${pid}/root`, "/etc/passwd"), "utf8");
    return new Map(
      text.split("\n").flatMap(line => {
        const [name, , uid] = line.split(":");
        return name && uid ? [[uid, name] as const] : [];
      }),
    );
  } catch {
    return new Map();
  }
}
