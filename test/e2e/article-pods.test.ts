/** The pods of the article *Understand networking in Podman*, as printed: between pods, and in one; for root and for a user. */
import { expect, test } from "bun:test";
import { HOST_ADDRESS, type TestHost } from "../support/host.ts";
import { difference, snapshot } from "../support/leaks.ts";
import { settledSnapshot } from "../support/user-leaks.ts";
import { eventually, loadImages, openHost, openUser } from "./world.ts";

type Caller = Pick<TestHost, "run" | "must">;

const PAGE = "<title>Welcome to nginx!</title>";
const EMPTY = ["-e", "MYSQL_ALLOW_EMPTY_PASSWORD=yes"];

/** What a MariaDB server at `address` says first, heard from inside a container. */
const greeting = (container: string, address: string) => [
  ...["portolan", "exec", container, "bash", "-c"],
  `exec 3<>/dev/tcp/${address}/3306 && head -c 40 <&3 | grep -ao MariaDB`,
];

/** The article's blocks about pods; `outside` speaks from the host's network. */
async function session(caller: Caller, outside: (...command: string[]) => Promise<string>): Promise<void> {
  const pods = () =>
    caller.must("portolan", "pod", "ps", "--format", "{{.Name}} {{.Status}}", "--sort", "name");
  await loadImages(caller, "nginx", "mariadb");

  // Each server in a pod of its own.
  const id = await caller.must("portolan", "pod", "create", "--name", "webservice", "-p", "8080:80");
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  await caller.must("portolan", "run", "-dt", "--name", "webserver", "--pod", "webservice", "nginx");
  await caller.must("portolan", "pod", "create", "--name", "db", "-p", "3306:3306");
  await caller.must("portolan", "run", "-dt", "--name", "mariadb", "--pod", "db", ...EMPTY, "mariadb");
  expect(await pods()).toBe("db Running\nwebservice Running");
  expect(await outside("curl", "-sf", "http://localhost:8080")).toContain(PAGE);
  expect(await eventually(caller, ...greeting("webserver", HOST_ADDRESS))).toBe("MariaDB\n");
  // Not on localhost: that is the other pod's.
  expect((await caller.run(greeting("webserver", "localhost"))).code).not.toBe(0);
  await caller.must("portolan", "pod", "rm", "-f", "-t", "0", "-a");

  // Both in one.
  await caller.must("portolan", "pod", "create", "--name", "both", "-p", "8080:80");
  await caller.must("portolan", "run", "-dt", "--name", "webserver", "--pod", "both", "nginx");
  await caller.must("portolan", "run", "-dt", "--name", "mariadb", "--pod", "both", ...EMPTY, "mariadb");
  expect(await eventually(caller, ...greeting("webserver", "localhost"))).toBe("MariaDB\n");
  expect(await outside("curl", "-sf", "http://localhost:8080")).toContain(PAGE);

  // One ends and comes back, the network stays.
  await caller.must("portolan", "kill", "mariadb");
  await caller.must("portolan", "wait", "mariadb");
  expect(await pods()).toBe("both Degraded");
  await caller.must("portolan", "restart", "mariadb");
  expect(await pods()).toBe("both Running");
  expect(await eventually(caller, ...greeting("webserver", "localhost"))).toBe("MariaDB\n");
  await caller.must("portolan", "pod", "restart", "both");
  expect(await outside("curl", "-sf", "http://localhost:8080")).toContain(PAGE);
  await caller.must("portolan", "pod", "rm", "-f", "-t", "0", "both");
  await caller.must("portolan", "rmi", "nginx", "mariadb");
}

test("root: nginx reaches MariaDB in another pod by the host's address, in its own on localhost", async () => {
  await using host = await openHost("busybox");
  await host.must("portolan", "run", "--rm", "busybox", "true");
  const before = await snapshot(host);
  await session(host, (...command) => eventually(host, ...command));
  expect(difference(before, await snapshot(host))).toEqual([]);
}, 90_000);

test("an ordinary user: the same", async () => {
  await using user = await openUser("busybox");
  await user.must("portolan", "run", "--rm", "busybox", "true");
  const before = await settledSnapshot(user);
  await session(user, (...command) => eventually(user.host, ...command));
  expect(difference(before, await settledSnapshot(user))).toEqual([]);
}, 90_000);
