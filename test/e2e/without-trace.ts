/** Containers and networks that come and go, and leave a host as it was. */
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";
import { difference, type Snapshot, snapshot } from "../support/leaks.ts";
import { openHost } from "./world.ts";

/** A host with busybox's image that has had a container: the tables of the firewall and the state's files stay from then on. */
export async function openSettledHost(): Promise<TestHost> {
  const host = await openHost("busybox");
  await host.must("portolan", "run", "--rm", "-p", "8080:80", "busybox", "true");
  return host;
}

/** Runs `body`, removes all that it made, and expects the host as it was. */
export async function withoutTrace(host: TestHost, body: () => Promise<void>): Promise<void> {
  let before: Snapshot = {};
  // The data plane, which tells names, goes a moment after its last container.
  await until(
    async () => {
      before = await snapshot(host);
      return !before.processes!.some(one => one.startsWith("netd"));
    },
    () => "the data plane does not end",
  );

  try {
    await body();
  } finally {
    await host.must("portolan", "rm", "-f", "-t", "0", "-a");
    await host.must("portolan", "network", "prune", "-f");
  }
  await expectClean(host, before);
}

/** Awaits that the host is as it was. */
export async function expectClean(host: TestHost, before: Snapshot): Promise<void> {
  let left: string[] = [];
  await until(
    async () => {
      left = difference(before, await snapshot(host));
      return left.length === 0;
    },
    () => `left behind:\n${left.join("\n")}`,
  );
}
