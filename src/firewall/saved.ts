/** What iptables-save(8) prints, and scripts for iptables-restore(8). Pure. */

export type Table = "nat" | "filter";

/** One table: its chains, and its rules as `-A CHAIN …`. */
export interface SavedTable {
  chains: Set<string>;
  rules: string[];
}
export type Saved = Record<Table, SavedTable>;

export function parseSaved(text: string): Saved {
  const saved: Saved = {
    nat: { chains: new Set(), rules: [] },
    filter: { chains: new Set(), rules: [] },
  };
  let table: SavedTable | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) table = (saved as Record<string, SavedTable>)[line.slice(1)];
    else if (line.startsWith(":")) table?.chains.add(line.slice(1).split(" ")[0]!);
    else if (line.startsWith("-A ")) table?.rules.push(line);
  }
  return saved;
}

/** The lines of each table that are to be changed, as input of `iptables-restore --noflush`; "" where there are none. */
export function script(lines: Record<Table, readonly string[]>): string {
  return (["nat", "filter"] as const)
    .filter(table => lines[table].length > 0)
    .map(table => `*${table}\n${lines[table].join("\n")}\nCOMMIT\n`)
    .join("");
}

const chainOfRule = (rule: string) => rule.split(" ")[1];
const targetOfRule = (rule: string) => / -[jg] (\S+)$/.exec(rule)?.[1];

export const rulesIn = (table: SavedTable, chain: string): string[] =>
  table.rules.filter(rule => chainOfRule(rule) === chain);
export const leadsTo = (table: SavedTable, chain: string, target: string): boolean =>
  rulesIn(table, chain).some(rule => targetOfRule(rule) === target);

/** A chain that must be there, with what it holds. */
export const declare = (table: SavedTable, chain: string): string[] =>
  table.chains.has(chain) ? [] : [`:${chain} - [0:0]`];

/** Takes a rule away that iptables-save printed. */
export const undo = (rule: string): string => rule.replace(/^-A/, "-D");

/** Takes a chain away, and every rule that leads to it. */
export function dropChain(table: SavedTable, chain: string): string[] {
  if (!table.chains.has(chain)) return [];
  const leading = table.rules.filter(rule => targetOfRule(rule) === chain);
  return [...leading.map(undo), `-F ${chain}`, `-X ${chain}`];
}

/** A word of a rule, quoted as iptables-save quotes. */
export const word = (text: string): string =>
  /^[A-Za-z0-9_.,:/!-]+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
