/** Calls plugins as a foreign runtime does: an executable, variables, a configuration on standard input. */
import { join } from "node:path";
import type { TestNetns } from "../support/netns.ts";

export const PORTOLAN = join(import.meta.dir, "../../dist/portolan");

export interface Called {
  exitCode: number;
  stdout: string;
  stderr: string;
  /** What was printed, where it is JSON. */
  json: Record<string, unknown> | undefined;
}

export interface Call {
  /** The executable. */
  file: string;
  verb?: string;
  conf?: object | string;
  netns?: string;
  containerId?: string;
  ifName?: string;
  env?: Record<string, string>;
  words?: string[];
  /** The working directory; the root unless said otherwise. */
  cwd?: string;
}

/** Calls it on this host, with CNI_PATH as `path`. */
export function callPlugin(host: TestNetns, path: string, call: Call): Called {
  const stdin = typeof call.conf === "string" ? call.conf : JSON.stringify(call.conf ?? {});
  const env: Record<string, string> = {
    PATH: process.env.PATH!,
    ...(call.verb === undefined ? {} : { CNI_COMMAND: call.verb }),
    CNI_CONTAINERID: call.containerId ?? "c1",
    CNI_NETNS: call.netns ?? "",
    CNI_IFNAME: call.ifName ?? "eth0",
    CNI_PATH: path,
    ...call.env,
  };
  const child = host.run(() =>
    Bun.spawnSync([call.file, ...(call.words ?? [])], {
      stdin: Buffer.from(stdin),
      env,
      cwd: call.cwd ?? "/",
    }),
  );
  const stdout = child.stdout.toString();
  let json: Record<string, unknown> | undefined;
  try {
    json = JSON.parse(stdout);
  } catch {}
  return { exitCode: child.exitCode, stdout, stderr: child.stderr.toString(), json };
}
