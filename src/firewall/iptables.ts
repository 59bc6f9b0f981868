/**
 * iptables, run: `iptables-save` tells what is there, `iptables-restore --noflush` makes the change of an address family in
 * one go. Only for configurations that ask for iptables, and for rules that the old variant of it (`iptables-legacy`) left.
 */
import { readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { parseSaved, type Saved, script, type Table } from "./saved.ts";

/** Lines for iptables-restore(8), by what is there already. */
export interface IptablesChange {
  version: 4 | 6;
  table: Table;
  lines(saved: Saved): string[];
}

const SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

function find(name: string): string | undefined {
  return Bun.which(name, { PATH: `${process.env.PATH ?? ""}:${SYSTEM_PATH}` }) ?? undefined;
}

const nameOf = (version: 4 | 6, variant: "" | "legacy-", verb: "save" | "restore") =>
  `${version === 4 ? "iptables" : "ip6tables"}-${variant}${verb}`;

function run(name: string, words: readonly string[], input = ""): string {
  const path = find(name);
  if (!path)
    throw new UserError(`${name} is not there, and the configuration asks for iptables`, {
      hint: "install the package iptables, or ask for the backend nftables",
    });
  const child = Bun.spawnSync([path, ...words], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  if (child.exitCode === 0) return child.stdout.toString();
  const why = child.stderr.toString().trim().split("\n")[0] || `exit code ${child.exitCode}`;
  throw new UserError(`can't change the firewall: ${name}: ${why}`);
}

/** Whether both programs of a family can be found. */
export const hasIptables = (version: 4 | 6): boolean =>
  (["save", "restore"] as const).every(verb => find(nameOf(version, "", verb)) !== undefined);

/** What iptables has now. */
export const savedRules = (version: 4 | 6, variant: "" | "legacy-" = ""): Saved =>
  parseSaved(run(nameOf(version, variant, "save"), []));

/** Makes the changes, all of a family at once. */
export function applyIptables(changes: readonly IptablesChange[], variant: "" | "legacy-" = ""): void {
  for (const version of [4, 6] as const) {
    const mine = changes.filter(one => one.version === version);
    if (mine.length === 0) continue;
    const saved = savedRules(version, variant);
    const lines: Record<Table, string[]> = { nat: [], filter: [] };
    for (const { table, lines: linesFor } of mine) lines[table].push(...linesFor(saved));
    const text = script(lines);
    if (text !== "") run(nameOf(version, variant, "restore"), ["--noflush", "--wait", "5"], text);
  }
}

/** True where the old variant of iptables has a table in this network namespace, and its programs are there. */
export function hasLegacyTable(version: 4 | 6, table: Table): boolean {
  try {
    const names = readFileSync(`/proc/thread-self/net/ip${version === 4 ? "" : "6"}_tables_names`, "utf8");
    return names.split("\n").includes(table) && find(nameOf(version, "legacy-", "restore")) !== undefined;
  } catch {
    return false; // The kernel has no such variant.
  }
}
