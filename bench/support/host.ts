/**
 * A throw-away machine where Debian's podman and Portolan run side by side: the same OCI runtime (runc), each with its
 * default seccomp profile, the same CNI configuration (the one that Debian's podman ships), both stores in memory.
 */
import { readdirSync, readFileSync } from "node:fs";
import { buildImage } from "../../scripts/images/build.ts";
import { until } from "../../test/support/await.ts";
import { TestHost } from "../../test/support/host.ts";

/** What podman needs in a machine without systemd and without CAP_SYS_RESOURCE; Portolan takes its runtime from it. */
const CONTAINERS_CONF = `[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
`;
const POLICY = `{ "default": [{ "type": "insecureAcceptAnything" }] }`;
const CONFLIST = "/etc/cni/net.d/87-podman-bridge.conflist";

export const ENGINES = ["podman", "portolan"] as const;

/** Runs `script` of this directory's parent inside such a machine, both engines having busybox's image. */
export async function onSharedHost(script: string, ...args: string[]): Promise<number> {
  const archive = await buildImage("busybox");
  const conflist = readFileSync(CONFLIST, "utf8");
  await using host = await TestHost.create();
  await host.must("sh", "-c", "mkdir -p /var/lib/containers && mount -t tmpfs tmpfs /var/lib/containers");
  await host.write("/etc/containers/containers.conf", CONTAINERS_CONF);
  await host.write("/etc/containers/policy.json", POLICY);
  await host.write(CONFLIST, conflist);
  for (const engine of ENGINES) await host.must(engine, "load", "-q", "-i", archive);
  const { code, stdout, stderr } = await host.run([process.execPath, "run", script, "--inside", ...args]);
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  return code;
}

/** Runs a command to its end; throws with what it said when it fails. */
export function must(...command: string[]): void {
  const child = Bun.spawnSync(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`${command.join(" ")}: ${child.stderr.toString()}`);
}

/** Processes that an engine's command may leave to end by themselves: cleaning up after it would slow the other one. */
const HELPERS = /^(podman|portolan|conmon|runc|cat)$/;

/** Waits until no process of either engine is left, but for this machine's first one. For benches without running containers. */
export async function quiet(): Promise<void> {
  const helpers = () =>
    readdirSync("/proc").filter(name => /^\d+$/.test(name) && name !== "1" && HELPERS.test(commandOf(name)));
  await until(
    () => helpers().length === 0,
    () => `still there: ${helpers().map(commandOf).join(", ")}`,
  );
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}
