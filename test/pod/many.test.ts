/** Many pods, and commands that race for them, on a host of their own. */
import { expect, test } from "bun:test";
import { openHost } from "../e2e/world.ts";
import { difference, snapshot } from "../support/leaks.ts";

const lines = (text: string) => text.split("\n").filter(Boolean);

test("100 pods of two containers each are made, listed and removed, 25 of them started before; nothing is left", async () => {
  await using host = await openHost("busybox");
  const sh = (script: string) => host.must("sh", "-c", script);
  await sh("portolan run --rm --pod new:first busybox true; portolan pod rm -f -t 0 first");
  const before = await snapshot(host);
  await sh(`seq 100 | xargs -P 4 -I N sh -ec '
    portolan pod create --name pod-N >/dev/null
    for name in one two; do portolan create --name $name-N --pod pod-N busybox sleep 1000 >/dev/null; done'`);
  const pods = async () =>
    lines(
      await sh("portolan pod ps --noheading --format '{{.Status}} {{.NumberOfContainers}}' | sort | uniq -c"),
    ).map(line => line.trim());
  expect(await pods()).toEqual(["100 Created 3"]);
  expect(lines(await sh("portolan ps -aq")).length).toBe(300);
  await sh("seq 25 | sed s/^/pod-/ | xargs -P 2 -n 5 portolan pod start >/dev/null");
  expect(await pods()).toEqual(["75 Created 3", "25 Running 3"]);
  expect(lines(await sh("portolan ps -q")).length).toBe(75);
  // Their containers, and nothing for the pods themselves.
  const processes = lines(await sh("ps -e -o comm="));
  for (const [name, count] of [
    ["conmon", 50],
    ["sleep", 50],
    ["catatonit", 0],
  ] as const)
    expect(processes.filter(one => one === name).length).toBe(count);
  // Each has an address of its own.
  const addresses = lines(
    await sh("portolan ps -q | xargs portolan inspect -f '{{.NetworkSettings.IPAddress}}'"),
  );
  expect(new Set(addresses).size).toBe(25);
  await sh("seq 10 | sed s/^/one-/ | xargs portolan stop -t 0 >/dev/null");
  expect(await pods()).toEqual(["75 Created 3", "10 Degraded 3", "15 Running 3"]);
  expect(lines(await sh("seq 100 | sed s/^/pod-/ | xargs -P 4 -n 10 portolan pod rm -f -t 0")).length).toBe(
    100,
  );
  expect(await sh("portolan ps -aq; portolan pod ps -q")).toBe("");
  expect(difference(before, await snapshot(host))).toEqual([]);
}, 110_000);

test("of commands that make and remove the same pod at once each succeeds or says why, and nothing is left", async () => {
  await using host = await openHost("busybox");
  const sh = (script: string) => host.must("sh", "-c", script);
  await sh("portolan run --rm --pod new:first busybox true; portolan pod rm -f -t 0 first");
  const before = await snapshot(host);
  const said = await sh(`seq 12 | xargs -P 12 -I N sh -c '
    for round in 1 2 3 4; do
      portolan pod create --name web
      portolan run -d --pod web busybox sleep 1000
      portolan pod rm -f -t 0 web
    done; true' 2>&1`);
  const unexpected = lines(said).filter(
    line =>
      !/^[0-9a-f]{64}$/.test(line) &&
      !/pod already exists$|no such pod$|no such container$|it is not running: container state improper$/.test(
        line,
      ),
  );
  expect(unexpected).toEqual([]);
  await sh("portolan pod rm -f -t 0 -a");
  expect(await sh("portolan ps -aq; portolan pod ps -q")).toBe("");
  expect(difference(before, await snapshot(host))).toEqual([]);
}, 60_000);

test("a pod's containers may be started all at once: its namespaces are made by one command, joined by the others", async () => {
  await using host = await openHost("busybox");
  const sh = (script: string) => host.must("sh", "-c", script);
  await sh(`portolan pod create --name web -p 8080:80 >/dev/null
    seq 8 | xargs -I N portolan create --name c-N --pod web busybox sleep 1000 >/dev/null
    seq 8 | sed s/^/c-/ | xargs -P 8 -n 1 portolan start >/dev/null`);
  expect(await sh("portolan pod ps --noheading --format '{{.Status}} {{.NumberOfContainers}}'")).toBe(
    "Running 9",
  );
  const links = await sh(
    "portolan ps -q --filter name=^c- | xargs portolan inspect -f '{{.State.Pid}}' | xargs -I P readlink /proc/P/ns/net /proc/P/ns/ipc /proc/P/ns/uts",
  );
  expect(new Set(lines(links)).size).toBe(3);
  await sh("portolan pod rm -f -t 0 web");
}, 60_000);
