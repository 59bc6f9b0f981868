/** Tables of pairs: a script through both engines, and a difference told line by line. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { debian13 } from "../support/debian13.ts";
import type { Outcome } from "../support/host.ts";
import { ENGINES, type EngineName, Pair } from "./world.ts";

export interface Case {
  /** The script; the test's name too. */
  script: string;
  /** Both must say this on standard error, in whatever words around it; the exit codes and the output are equal. */
  says?: RegExp;
  /** Lines of output come in no order. */
  unordered?: boolean;
  /** Standard error is not compared, for a reason that stands in the table. */
  ignoreErrors?: string;
  /** A difference on purpose: why, and what each side's outcome (as `render` gives it) matches. */
  differs?: { why: string; podman: RegExp; portolan: RegExp };
  /** What else holds for an ordinary user. */
  asUser?: Omit<Case, "script" | "asUser">;
}

/** Who calls the engines, and on which host once that is there. */
export interface Caller {
  /** On Debian 13 podman is 5.4, on this machine 4.3.1. */
  who: "root" | "user" | "user of Debian 13";
  pair(): Pair;
}

/** A host with these images for each of `callers`, from before the file's first test until after its last. */
export function openPairs(callers: readonly Caller["who"][], ...images: string[]): Caller[] {
  return callers.map(who => {
    let pair: Pair | undefined;
    beforeAll(async () => {
      if (who === "root") pair = await Pair.open(...images);
      else pair = await Pair.asUser(images, who === "user" ? undefined : debian13());
    }, 120_000);
    afterAll(() => pair?.[Symbol.asyncDispose]());
    return { who, pair: () => pair! };
  });
}

/** What can't be equal, made equal: ids, times, random names, addresses from the pool, MAC addresses, the engines' names. */
const NORMAL: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{64}\b/g, "<ID>"],
  [/\b[0-9a-f]{12}\b/g, "<id>"],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|[+-]\d\d:?\d\d)( UTC)?)?/g, "<time>"],
  [/(Less than a second|About a minute|\d+ (seconds?|minutes)) ago/g, "<ago>"],
  [/\b10\.88\.(?!0\.1\b|5\.5\b|0\.0\b|255\.)\d+\.\d+\b/g, "<address>"],
  [/\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b(?<!92:d0:c6:0a:29:33)/g, "<mac>"],
  [/localhost\/(podman|portolan)-pause:[\w.-]+/g, "<pause>"],
  [/\/tmp\/tmp\.\w+/g, "<scratch>"],
  [/(\/var\/lib|\/home\/\w+\/\.local\/share)\/(containers\/storage|portolan)\/volumes\//g, "<volumes>/"],
  [/(?<=[`"' ])(podman|portolan)(?=[^\n]{0,40}[`"'])/g, "<engine>"],
  // podman's own troubles: no systemd to run health checks by, networks that it tries to leave after it never joined.
  [/^time="[^\n]*(unable to get systemd connection|Failed to load cached network config)[^\n]*\n?/gm, ""],
  [/ {2,}/g, "  "],
];

export const normal = (text: string) =>
  NORMAL.reduce((all, [pattern, word]) => all.replace(pattern, word), text);

export function render({ code, stdout, stderr }: Outcome): string {
  const parts = [`exit ${code}`, normal(stdout).trimEnd()];
  const errors = normal(stderr).trimEnd();
  if (errors) parts.push("on standard error:", errors);
  return parts.filter(Boolean).join("\n");
}

/** The lines of two texts, those of one side only marked `podman` or `portolan`; by longest common subsequence. */
export function diff(podman: string, portolan: string): string {
  const [a, b] = [podman.split("\n"), portolan.split("\n")];
  const length = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      length[i]![j] =
        a[i] === b[j] ? 1 + length[i + 1]![j + 1]! : Math.max(length[i + 1]![j]!, length[i]![j + 1]!);
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(`           ${a[i++]}`);
      j++;
    } else if (j >= b.length || (i < a.length && length[i + 1]![j]! >= length[i]![j + 1]!))
      lines.push(`  podman - ${a[i++]}`);
    else lines.push(`portolan + ${b[j++]}`);
  }
  return lines.join("\n");
}

async function check(pair: Pair, one: Case, { inTurn, after }: PairsOptions): Promise<void> {
  const { script, says, unordered, differs } = one;
  const outcomes = {} as Record<EngineName, Outcome>;
  const runOne = async (engine: EngineName) => {
    const outcome = await pair.run(engine, script);
    if (unordered) outcome.stdout = normal(outcome.stdout).split("\n").sort().join("\n").trim();
    // As timeout(1) has it: two that hang are not equal.
    if (outcome.code === 124) throw new Error(`${engine} hangs; it said: ${render(outcome)}`);
    outcomes[engine] = outcome;
    if (after) await pair.host.must("sh", "-c", after);
  };
  if (inTurn) for (const engine of ENGINES) await runOne(engine);
  else await Promise.all(ENGINES.map(runOne));
  if (differs) {
    expect(render(outcomes.podman)).toMatch(differs.podman);
    expect(render(outcomes.portolan)).toMatch(differs.portolan);
    return;
  }
  if (says) for (const engine of ENGINES) expect(`${engine}: ${outcomes[engine].stderr}`).toMatch(says);
  const compared = ENGINES.map(engine => {
    const stderr = says || one.ignoreErrors ? "" : outcomes[engine].stderr;
    return render({ ...outcomes[engine], stderr });
  }) as [string, string];
  if (compared[0] !== compared[1]) throw new Error(`the engines differ:\n${diff(...compared)}`);
  expect(compared[1]).toBe(compared[0]);
}

interface PairsOptions {
  /** One engine after the other, where they would want the same port or address of the host. */
  inTurn?: boolean;
  /** Run on the host after each engine's turn. */
  after?: string;
}

/** A test for each case and caller. The engines run at the same time unless `inTurn` is asked for. */
export function pairs(
  callers: readonly Caller[],
  cases: readonly (string | Case)[],
  options: PairsOptions = {},
): void {
  for (const one of cases) {
    const { asUser, ...rest }: Case = typeof one === "string" ? { script: one } : one;
    for (const { who, pair } of callers) {
      const full = who !== "root" ? { ...rest, ...asUser } : rest;
      test(`${who}: ${full.script}`, () => check(pair(), full, options));
    }
  }
}

/** A refusal: exit codes and output are equal, and both say `says`. */
export const refused = (script: string, says: RegExp): Case => ({ script, says });
