/** A throw-away machine where an ordinary user has both engines, and what his processes take. */
import { readdirSync, readFileSync } from "node:fs";
import type { Pair } from "../../test/podman/world.ts";
import { until } from "../../test/support/await.ts";

/** Runs `script` of this directory's parent on the machine as the user; what it prints is passed on. */
export async function asUser({ host, user }: Pair, script: string, ...args: string[]): Promise<void> {
  // Root starts it, for a working copy may lie where only he can go; `becomeUser` is its first act.
  const words = [process.execPath, "run", script, "--inside", `${user!.uid}`, ...args];
  const env = {
    HOME: user!.home,
    USER: user!.name,
    XDG_RUNTIME_DIR: user!.runtime,
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    PODMAN_IGNORE_CGROUPSV1_WARNING: "yes",
  };
  const inGroups = 'for f in /sys/fs/cgroup/*/cgroup.procs; do echo 0 >"$f"; done; exec "$@"';
  const { code, stdout, stderr } = await host.run(["sh", "-c", inGroups, "sh", ...words], { env });
  process.stdout.write(stdout);
  if (code !== 0) throw new Error(`${script}: ${stderr}`);
}

/** From here on this process, and what it starts, is the user's. */
export function becomeUser(uid: number): void {
  process.chdir(process.env.HOME!);
  process.setgroups!([]);
  process.setgid!(uid);
  process.setuid!(uid);
}

/** Waits until no process of these names is left. */
export async function gone(names: RegExp): Promise<void> {
  const left = () => readdirSync("/proc").filter(name => /^\d+$/.test(name) && names.test(commandOf(name)));
  await until(
    () => left().length === 0,
    () => `still there: ${left().map(commandOf).join(", ")}`,
  );
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

/** Memory in MiB, and how many processes share in it. `proportional` counts what several share once (PSS). */
export interface Share {
  processes: number;
  resident: number;
  proportional: number;
}

const SUM = `for pid in $(pgrep -u "$1"); do
  read -r name </proc/$pid/comm && [ "$name" != sleep ] && [ "$name" != catatonit ] || continue
  awk -v name="$name" '/^Rss:/ { r = $2 } /^Pss:/ { p = $2 } END { print name, r, p }' /proc/$pid/smaps_rollup
done`;

/** What the user's processes take by name, containers' own and the pause process, which both engines have, left out. */
export async function helpers({ host, user }: Pair): Promise<Map<string, Share>> {
  const text = await host.must("sh", "-c", SUM, "sh", `${user!.uid}`);
  const shares = new Map<string, Share>();
  for (const line of text.split("\n").filter(Boolean)) {
    const [name = "", resident, proportional] = line.split(" ");
    const share = shares.get(name) ?? { processes: 0, resident: 0, proportional: 0 };
    share.processes++;
    share.resident += Number(resident) / 1024;
    share.proportional += Number(proportional) / 1024;
    shares.set(name, share);
  }
  return shares;
}
