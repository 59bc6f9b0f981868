/** Many commands at once. */
import { expect, test } from "bun:test";
import { difference, snapshot } from "../support/leaks.ts";
import { openHost } from "./world.ts";

const COUNT = 20;

test(`${COUNT} parallel runs get ${COUNT} different addresses, and parallel removals leave nothing`, async () => {
  await using host = await openHost("busybox");
  await host.must("portolan", "run", "--rm", "busybox", "true");
  const before = await snapshot(host);
  const locks = () => host.must("sh", "-c", "find /run/portolan/locks | grep -cE '/[0-9a-f]{64}$' || true");
  expect(await locks()).toBe("0");
  const numbers = Array.from({ length: COUNT }, (_, index) => index);
  await Promise.all(
    numbers.map(n =>
      host.must(
        ...["portolan", "run", "-d", "--name", `one-${n}`, "-p", `${9000 + n}:80`],
        ...["busybox", "sh", "-c", `mkdir /www; echo page ${n} >/www/index.html; exec httpd -f -h /www`],
      ),
    ),
  );
  const format = "{{.Name}} {{.NetworkSettings.IPAddress}} {{.NetworkSettings.MacAddress}}";
  const names = numbers.map(n => `one-${n}`);
  const rows = (await host.must("portolan", "inspect", "-f", format, ...names)).split("\n");
  expect(rows).toHaveLength(COUNT);
  for (const row of rows) expect(row).toMatch(/^one-\d+ 10\.88\.\d+\.\d+ [0-9a-f:]{17}$/);
  expect(new Set(rows.map(row => row.split(" ")[1])).size).toBe(COUNT);
  expect(new Set(rows.map(row => row.split(" ")[2])).size).toBe(COUNT);
  // Each port leads to the container that published it.
  for (const n of numbers) {
    const url = `http://localhost:${9000 + n}`;
    expect(await host.must("curl", "-sf", "--retry", "20", "--retry-connrefused", url)).toBe(`page ${n}`);
  }
  expect(await locks()).toBe(String(COUNT));
  // Two remove each of them at the same time: one does, the other finds nothing or has waited for nothing.
  await Promise.all(
    [...names, ...names].map(name => host.must("portolan", "rm", "-f", "-i", "-t", "0", name)),
  );
  expect(await locks()).toBe("0");
  expect(difference(before, await snapshot(host))).toEqual([]);
}, 60_000);
