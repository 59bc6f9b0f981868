/**
 * A pull of the real MariaDB and PostgreSQL images into an empty store, against Debian's podman, in turns, from a
 * docker-registry on the loopback address. `bun run bench/pull.ts [rounds]`. Goal: half of the time.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { buildImage } from "../scripts/images/build.ts";
import { TestRegistry } from "../test/support/registry.ts";

const GOAL = 0.5;
const PORTOLAN = process.env.PORTOLAN ?? resolve(import.meta.dir, "../dist/portolan");
const IMAGES = ["mariadb", "postgres"];

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Milliseconds that a command takes. */
function run(...command: string[]): number {
  const start = performance.now();
  const child = Bun.spawnSync(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`${command.join(" ")}: ${child.stderr.toString()}`);
  return performance.now() - start;
}

const rounds = Number(process.argv[2] ?? 5);
const directory = mkdtempSync(join(tmpdir(), "portolan-bench-"));
const stores: string[] = [];
/** An empty store each time, kept to the end: ext4 makes files slowly where many were removed just before. */
function emptyStore(program: string, round: number): string[] {
  const store = join(directory, `${basename(program)}-${stores.length}-${round}`);
  stores.push(store);
  const command = [program, "--root", join(store, "root"), "--runroot", join(store, "run")];
  // Making the store is not what is asked.
  run(...command, "images", "--quiet");
  run("sync");
  return command;
}

let missed = 0;
try {
  await using registry = await TestRegistry.start();
  for (const image of IMAGES) {
    registry.push(`docker-archive:${await buildImage(image)}`, `library/${image}:latest`, "--dest-compress");
    const source = `${registry.address}/library/${image}:latest`;
    const pull = ["pull", "--quiet", "--tls-verify=false", source];
    const times = { podman: [] as number[], portolan: [] as number[] };
    // The first round warms the caches.
    for (let round = 0; round <= rounds; round++)
      for (const [name, program] of [
        ["podman", "podman"],
        ["portolan", PORTOLAN],
      ] as const) {
        const command = emptyStore(program, round);
        const time = run(...command, ...pull);
        if (round > 0) times[name].push(time);
      }
    for (const [name, all] of Object.entries(times))
      console.log(
        `${name.padEnd(9)} pull ${image.padEnd(9)} median ${median(all).toFixed(0)} ms, min ${Math.min(...all).toFixed(0)} ms`,
      );
    const ratio = median(times.portolan) / median(times.podman);
    if (ratio > GOAL) missed++;
    console.log(
      `pull ${image}: ratio ${ratio.toFixed(3)}, goal at most ${GOAL}: ${ratio <= GOAL ? "met" : "missed"}`,
    );
  }
} finally {
  // podman mounts its store upon itself.
  for (const store of stores) Bun.spawnSync(["umount", join(store, "root/overlay")], { stderr: "ignore" });
  rmSync(directory, { recursive: true, force: true });
}
process.exitCode = missed > 0 ? 1 : 0;
