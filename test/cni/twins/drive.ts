/**
 * Goes through a case inside a twin: a mount namespace and a network namespace of its own are the host, `/run/netns/c` is
 * its container, and `/run/plugins` holds the plugins. The task as JSON on stdin, what was seen on stdout.
 */
import { existsSync } from "node:fs";
import type { Call, Seen, Step, Task, Verb } from "./case.ts";
import { LIFE } from "./case.ts";
import { look } from "./look.ts";

const PLUGINS = "/run/plugins";
const OTHERS = "/run/others";
const NETNS = "/run/netns/c";

interface Answer {
  rc: number;
  out: unknown;
  /** How a JSON text is laid out; the keys' order is nobody's business. */
  form?: string;
  err: string;
}

const environment = (verb: string, path = PLUGINS): Record<string, string> => ({
  PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  CNI_COMMAND: verb,
  CNI_CONTAINERID: "c1",
  CNI_NETNS: NETNS,
  CNI_IFNAME: "eth0",
  CNI_PATH: path,
});

function formOf(text: string, value: unknown): string {
  const end = text.endsWith("\n") ? ", newline" : "";
  const lines = text.trimEnd().split("\n").length;
  return (
    (lines === 1 ? "one line" : `indent ${/\n( *)"/.exec(text)?.[1]?.length}`) + end + (value ? "" : "?")
  );
}

function execute(type: string, env: Record<string, string>, stdin: string, path = PLUGINS): Answer {
  // The older of Go's have not all.
  if (!existsSync(`${path}/${type}`)) return { rc: 127, out: "no such plugin", err: "" };
  const child = Bun.spawnSync([`${path}/${type}`], { env, stdin: Buffer.from(stdin), stderr: "pipe" });
  const text = child.stdout.toString();
  // Plugins may log what they like; the line about themselves is another matter.
  const answer = { rc: child.exitCode, err: env.CNI_COMMAND ? "" : child.stderr.toString() };
  try {
    const out = JSON.parse(text);
    return { ...answer, out, form: formOf(text, out) };
  } catch {
    return { ...answer, out: text };
  }
}

export class Twin {
  readonly #task: Task;
  /** The result of the last ADD. */
  #result: object | undefined;
  readonly seen: Seen[] = [];
  #number = 0;

  constructor(task: Task) {
    this.#task = task;
  }

  see(step: string, what: unknown): void {
    this.seen.push({ step: `${this.#number} ${step}`, what });
  }

  take(step: Step): void {
    this.#number += 1;
    if (step === "LOOK") this.see("LOOK", look());
    else if (typeof step === "string") this.chain({ do: step });
    else if ("do" in step) this.chain(step);
    else if ("call" in step) this.call(step);
    else this.see(step.sh, shell(step.sh));
  }

  /** A verb as libcni does it: ADD and CHECK forward, DEL backward, until the first error. */
  chain(verb: Verb): void {
    const { version, case: one } = this.#task;
    const chain = (one.plugins ?? []) as { type: string }[];
    const path = verb.by === "go" ? OTHERS : PLUGINS;
    const env = environment(verb.do, path);
    if (verb.id !== undefined) env.CNI_CONTAINERID = verb.id;
    if (verb.netns !== undefined) env.CNI_NETNS = verb.netns;
    if (verb.ifName !== undefined) env.CNI_IFNAME = verb.ifName;
    if (verb.args !== undefined) env.CNI_ARGS = verb.args;
    let result = verb.do === "ADD" ? undefined : this.#result;
    if (verb.prevResult === "none" || version < "0.3.0") result = undefined;
    else if (verb.prevResult) result = verb.prevResult;
    for (const plugin of verb.do === "DEL" ? chain.toReversed() : chain) {
      const conf = { cniVersion: version, name: "net", ...plugin, ...verb.conf };
      const stdin = JSON.stringify(result ? { ...conf, prevResult: result } : conf);
      const answer = execute(plugin.type, env, stdin, path);
      this.see(`${verb.do} ${plugin.type}`, answer);
      if (answer.rc !== 0) return;
      if (verb.do === "ADD") result = answer.out as object;
    }
    if (verb.do === "ADD") this.#result = result;
  }

  call({ call: type, about, env, stdin }: Call): void {
    const all: Record<string, string | null> = { ...environment("ADD"), ...env };
    const given = Object.fromEntries(
      Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null),
    );
    const text = stdin ?? { cniVersion: this.#task.version, name: "net", type };
    this.see(
      [type, given.CNI_COMMAND, about].join(" ").trimEnd(),
      execute(type, given, typeof text === "string" ? text : JSON.stringify(text)),
    );
  }
}

function shell(script: string): { rc: number; out: string; err: string } {
  const child = Bun.spawnSync(["sh", "-c", script], { stderr: "pipe" });
  return { rc: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
}

if (import.meta.main) {
  const task = (await Bun.stdin.json()) as Task;
  const made = shell(`set -e
    mount -t sysfs sysfs /sys
    mount -t tmpfs tmpfs /var/lib/cni 2>/dev/null || { mkdir -p /var/lib/cni; mount -t tmpfs tmpfs /var/lib/cni; }
    mkdir -p /etc/cni && mount -t tmpfs tmpfs /etc/cni
    mount -t tmpfs tmpfs /run
    mkdir /run/plugins /run/others
    mount --bind ${task.directory} ${PLUGINS}
    mount --bind ${task.others ?? task.directory} ${OTHERS}
    ip link set lo up
    ip netns add c
    # Duplicate address detection sends nothing and waits for nothing: Go's give it five seconds, which a busy machine may take.
    quick='cd /proc/sys/net/ipv6/conf/default && echo 0 >dad_transmits && echo 0 >router_solicitation_delay'
    (eval "$quick") && ip netns exec c sh -c "$quick"
    ${task.case.before ?? ""}`);
  if (made.rc !== 0) throw new Error(`the world of "${task.case.name}" can't be made: ${made.err}`);
  const twin = new Twin(task);
  for (const step of task.case.steps ?? LIFE) twin.take(step);
  console.log(JSON.stringify(twin.seen));
}
