/** Twins: throw-away hosts with a container each, in which one set of plugins each goes through the same case (`drive.ts`). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { oldGoPlugins } from "../../support/go-plugins.ts";
import { PORTOLAN } from "../../support/host.ts";
import type { Case, Seen, Task } from "./case.ts";
import { common, type Difference, differences, normal } from "./compare.ts";
import { isListed } from "./differences.ts";

/** Our plugins as `portolan cni install` puts them there, in a directory of their own. */
export class OurPlugins implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "portolan-plugins-"));
  constructor() {
    const child = Bun.spawnSync([PORTOLAN, "cni", "install", this.directory], { stderr: "pipe" });
    if (child.exitCode !== 0) throw new Error(child.stderr.toString());
  }
  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** Goes through a case in a host of its own; what was seen, with equal names for what has names by chance. */
export async function run(task: Task): Promise<Seen[]> {
  const words = ["unshare", "--mount", "--net", "--propagation=private"];
  const child = Bun.spawn([...words, process.execPath, join(import.meta.dir, "drive.ts")], {
    stdin: new Blob([JSON.stringify(task)]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, text, errors] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  if (code !== 0) throw new Error(`"${task.case.name}" can't be gone through: ${errors}`);
  return normal(JSON.parse(text) as Seen[], JSON.stringify(task.case));
}

/** Where the plugins are that are compared. */
export interface Sides {
  /** The newest of Go's, whose fields and behaviour ours are. */
  newest: string;
  ours: string;
}

/** Does each job in turn, two at a time: much of an ADD is waiting for the kernel. */
export async function inTurns(jobs: readonly (() => Promise<void>)[]): Promise<void> {
  const rest = [...jobs];
  const work = async () => {
    for (let job = rest.shift(); job; job = rest.shift()) await job();
  };
  await Promise.all([work(), work()]);
}

/** Goes through cases; tells of each as it is done. */
export const compareAll = (
  cases: readonly Case[],
  sides: Sides,
  tell: (one: Case, found: Difference[] | Error) => void,
): Promise<void> =>
  inTurns(cases.map(one => async () => tell(one, await compare(one, sides).catch(error => error as Error))));

/**
 * What is otherwise with ours than with Go's, at each version of the case, listed or not. What the two releases of Go's do
 * not agree in may be as in either: the older one is asked only where ours are not as the newest.
 */
export async function compare(one: Case, { newest, ours }: Sides): Promise<Difference[]> {
  const versions = one.versions ?? ["1.0.0"];
  const found = versions.map(async version => {
    // What the kernel is told does not depend on the version of a result.
    const steps = version === versions.at(-1) ? one.steps : one.steps?.filter(step => step !== "LOOK");
    const task = (directory: string): Task => ({ directory, version, case: { ...one, steps } });
    const [theirs, mine] = [await run(task(newest)), await run(task(ours))];
    const all = differences(`${one.name}, ${version}`, theirs, mine);
    const rest = all.filter(difference => !isListed(difference));
    const listed = all.filter(isListed);
    if (rest.length === 0) return listed;
    return [...listed, ...common(rest, differences("", await run(task(oldGoPlugins)), mine))];
  });
  return (await Promise.all(found)).flat();
}
