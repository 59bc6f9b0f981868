/** The processes of a container as podman-top(1) describes them, read from the host's /proc (proc(5)). */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { goDuration } from "../base/quantity.ts";
import { capabilityNames } from "./capabilities.ts";
import { type Container, statusOf } from "./config.ts";
import { isPinned } from "./pins.ts";
import { resolveInRoot } from "./user.ts";

/** Clock ticks of a second (`USER_HZ`), and bytes of a page. */
const TICKS = 100;
const PAGE = 4096;

/** One process: what its files say. */
interface Process {
  pid: string;
  /** Fields of /proc/PID/stat after the name: `stat[0]` is the state, the third of proc_pid_stat(5). */
  stat: readonly string[];
  /** The words after `Key:` in /proc/PID/status. */
  status: (key: string) => readonly string[];
  command: string;
}

interface View {
  users: ReadonlyMap<string, string>;
  groups: ReadonlyMap<string, string>;
  hostUsers: ReadonlyMap<string, string>;
  hostGroups: ReadonlyMap<string, string>;
  uptime: number;
}

interface Descriptor {
  heading: string;
  cell: (one: Process, view: View) => string;
}

const name = (names: ReadonlyMap<string, string>, id: string | undefined) => names.get(id ?? "") ?? id ?? "?";
const capabilities = (key: string): Descriptor["cell"] => {
  return ({ status }) => capabilityText(status(key)[0] ?? "0");
};
const elapsed = ({ stat }: Process, { uptime }: View) => Math.max(0, uptime - Number(stat[19]) / TICKS);
const cpu = ({ stat }: Process) => (Number(stat[11]) + Number(stat[12])) / TICKS;
const duration = (seconds: number) => goDuration(Math.round(seconds * 1e9));
const KILO = 1024;

/** By Podman's names, and by the letters of ps(1) that mean the same. */
export const DESCRIPTORS: Readonly<Record<string, Descriptor>> = {
  args: { heading: "COMMAND", cell: one => one.command },
  capamb: { heading: "AMBIENT CAPS", cell: capabilities("CapAmb") },
  capbnd: { heading: "BOUNDING CAPS", cell: capabilities("CapBnd") },
  capeff: { heading: "EFFECTIVE CAPS", cell: capabilities("CapEff") },
  capinh: { heading: "INHERITED CAPS", cell: capabilities("CapInh") },
  capprm: { heading: "PERMITTED CAPS", cell: capabilities("CapPrm") },
  comm: { heading: "COMMAND", cell: ({ status }) => status("Name").join(" ") },
  etime: { heading: "ELAPSED", cell: (one, view) => duration(elapsed(one, view)) },
  group: { heading: "GROUP", cell: ({ status }, { groups }) => name(groups, status("Gid")[1]) },
  groups: {
    heading: "GROUPS",
    cell: ({ status }, { groups }) =>
      status("Groups")
        .map(one => name(groups, one))
        .join(","),
  },
  hgroup: { heading: "HGROUP", cell: ({ status }, { hostGroups }) => name(hostGroups, status("Gid")[1]) },
  hgroups: {
    heading: "HGROUPS",
    cell: ({ status }, { hostGroups }) =>
      status("Groups")
        .map(one => name(hostGroups, one))
        .join(","),
  },
  hpid: { heading: "HPID", cell: ({ pid }) => pid },
  huser: { heading: "HUSER", cell: ({ status }, { hostUsers }) => name(hostUsers, status("Uid")[1]) },
  label: {
    heading: "LABEL",
    cell: ({ pid }) => read(`/proc/${pid}/attr/current`).replace(/[\0\n]+$/, "") || "?",
  },
  nice: { heading: "NI", cell: ({ stat }) => stat[16]! },
  pcpu: {
    heading: "%CPU",
    cell: (one, view) => {
      const seconds = elapsed(one, view);
      return (seconds > 0 ? (100 * cpu(one)) / seconds : 0).toFixed(3);
    },
  },
  pgid: { heading: "PGID", cell: ({ status }) => status("NSpgid").at(-1) ?? "?" },
  pid: { heading: "PID", cell: ({ pid, status }) => status("NSpid").at(-1) ?? pid },
  ppid: { heading: "PPID", cell: ({ stat }) => innerParent(stat[1]!) },
  rgroup: { heading: "RGROUP", cell: ({ status }, { groups }) => name(groups, status("Gid")[0]) },
  rss: { heading: "RSS", cell: ({ stat }) => String((Number(stat[21]) * PAGE) / KILO) },
  ruser: { heading: "RUSER", cell: ({ status }, { users }) => name(users, status("Uid")[0]) },
  seccomp: {
    heading: "SECCOMP",
    cell: ({ status }) => ["disabled", "strict", "filter"][Number(status("Seccomp")[0])] ?? "?",
  },
  state: { heading: "STATE", cell: ({ stat }) => stat[0]! },
  stime: {
    heading: "STIME",
    cell: (one, view) => new Date(Date.now() - elapsed(one, view) * 1000).toISOString(),
  },
  time: { heading: "TIME", cell: one => duration(cpu(one)) },
  tty: { heading: "TTY", cell: ({ stat }) => terminal(Number(stat[4])) },
  user: { heading: "USER", cell: ({ status }, { users }) => name(users, status("Uid")[1]) },
  vsz: { heading: "VSZ", cell: ({ stat }) => String(Number(stat[20]) / KILO) },
};

/** What ps(1) calls them in its AIX formats. */
const LETTERS: Readonly<Record<string, string>> = {
  ...{ "%C": "pcpu", "%G": "group", "%P": "ppid", "%U": "user", "%a": "args", "%c": "comm", "%g": "rgroup" },
  ...{
    "%n": "nice",
    "%p": "pid",
    "%r": "pgid",
    "%t": "etime",
    "%u": "ruser",
    "%x": "time",
    "%y": "tty",
    "%z": "vsz",
  },
};

const DEFAULT = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/** The descriptors that the words of a command line mean; undefined when they are meant for the container's own ps(1). */
export function parseDescriptors(words: readonly string[]): Descriptor[] | undefined {
  const wanted = words.flatMap(word => word.split(","));
  const found = (wanted.length > 0 ? wanted : DEFAULT).map(word => {
    const key = LETTERS[word] ?? word;
    return Object.hasOwn(DESCRIPTORS, key) ? DESCRIPTORS[key] : undefined;
  });
  return found.every(one => one !== undefined) ? found : undefined;
}

/** A heading and a row for each process in the container's pid namespace. */
export function topOf(container: Container, descriptors: readonly Descriptor[]): string[][] {
  const { pid } = container.state;
  const runs = statusOf(container) === "running";
  const heading = descriptors.map(one => one.heading);
  if (runs && isPinned(container)) return [heading];
  if (!runs || pid <= 0) throw new UserError("top can only be used on running containers");
  const namespace = readlinkSync(`/proc/${pid}/ns/pid`);
  const view: View = {
    users: namesIn(`/proc/${pid}/root`, "/etc/passwd"),
    groups: namesIn(`/proc/${pid}/root`, "/etc/group"),
    hostUsers: namesIn("/", "/etc/passwd"),
    hostGroups: namesIn("/", "/etc/group"),
    uptime: Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]),
  };
  const rows: { order: number; words: string[] }[] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readlinkSync(`/proc/${entry}/ns/pid`) !== namespace) continue;
      const one = processOf(entry);
      const order = Number(one.status("NSpid").at(-1) ?? entry);
      rows.push({ order, words: descriptors.map(({ cell }) => cell(one, view)) });
    } catch {
      // It ended while we looked.
    }
  }
  rows.sort((a, b) => a.order - b.order);
  return [heading, ...rows.map(({ words }) => words)];
}

function processOf(pid: string): Process {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const status = (key: string) =>
    (new RegExp(`^${key}:[ \\t]*(.*)$`, "m").exec(text)?.[1]?.trim() ?? "").split(/\s+/).filter(Boolean);
  const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
  return {
    pid,
    stat: stat.slice(stat.lastIndexOf(")") + 2).split(" "),
    status,
    command: words.join(" ") || `[${status("Name").join(" ")}]`,
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** `CHOWN,KILL` for a mask in hexadecimal digits; `none`, or `full` for all that there are. */
export function capabilityText(mask: string): string {
  const names = capabilityNames(BigInt(`0x${mask || "0"}`));
  if (names === "all") return "full";
  return names.length > 0
    ? names
        .map(one => one.replace(/^CAP_/, ""))
        .sort()
        .join(",")
    : "none";
}

/** The parent's pid as the container sees it; 0 for a parent outside. */
function innerParent(pid: string): string {
  const line = /^NSpid:\s+(.*)$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? "";
  const pids = line.split(/\s+/);
  return pids.length > 1 ? pids.at(-1)! : "0";
}

/** A tty by its device number (proc(5), tty_nr). */
function terminal(number: number): string {
  const major = (number >> 8) & 0xfff;
  const minor = (number & 0xff) | ((number >> 12) & 0xfff00);
  return number === 0 ? "?" : major >= 136 && major <= 143 ? `pts/${minor}` : `tty${minor}`;
}

/** Names by id, as passwd(5) or group(5) in `root` have them. */
function namesIn(root: string, file: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const line of read(resolveInRoot(root, file)).split("\n")) {
    const [word, , id] = line.split(":");
    if (word && id && !names.has(id)) names.set(id, word);
  }
  return names;
}
