/** The rootful session of the article *Understand networking in Podman*, as printed, with real servers. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { HOST_ADDRESS } from "../support/host.ts";
import { difference, snapshot } from "../support/leaks.ts";
import type { TestRegistry } from "../support/registry.ts";
import {
  ARTICLE_CONFLIST,
  askPostgres,
  converse,
  eventually,
  LEAP,
  loadImages,
  openHost,
  openRegistry,
} from "./world.ts";

const CONFLIST = "/etc/cni/net.d/87-podman-bridge.conflist";
const ADDRESS = ["portolan", "inspect", "-f", "{{.NetworkSettings.IPAddress}}"];
const PAGE = "<title>Welcome to nginx!</title>";

const IMAGES = ["postgres", "nginx", "mariadb", "leap"];

let registry: TestRegistry;
beforeAll(async () => {
  registry = await openRegistry(...IMAGES);
}, 90_000);
afterAll(() => registry[Symbol.asyncDispose]());

for (const pulled of [false, true])
  test(`the article's session: ${pulled ? "images pulled by run, its conflist" : "images loaded, no conflist"}`, async () => {
    await using host = await openHost("busybox");
    if (pulled) await host.useRegistry(registry, ["docker.io", "registry.opensuse.org"]);
    if (pulled) await host.write(CONFLIST, ARTICLE_CONFLIST);
    // The bridge and the firewall's tables stay for the next container, by design.
    await host.must("portolan", "run", "--rm", "busybox", "true");
    const before = await snapshot(host);
    if (!pulled) await loadImages(host, ...IMAGES);

    // A database with an address.
    const id = await host.must(
      ...["portolan", "run", "-dt", "--name", "db", "-e", "POSTGRES_HOST_AUTH_METHOD=trust", "postgres"],
    );
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const db = await host.must(...ADDRESS, "db");
    expect(db).toMatch(/^10\.88\.\d+\.\d+$/);
    let answer = "";
    await until(
      async () => {
        answer = await askPostgres(host, db, "SELECT 6 * 7 AS answer");
        return answer.includes("SELECT 1");
      },
      () => `PostgreSQL at ${db} gives no answer but ${JSON.stringify(answer)}`,
      30,
    );
    expect(answer).toMatch(/answer[\s\S]*42/);
    expect((await host.run(["telnet", db, "5432"])).stdout).toContain(`Connected to ${db}.`);
    const fromContainer = await host.run(["portolan", "run", "--rm", LEAP, "telnet", db, "5432"]);
    expect(fromContainer.stdout).toContain(`Connected to ${db}.`);

    // A web server on a published port.
    await host.must("portolan", "run", "-dt", "--name", "webserver", "-p", "8080:80", "nginx");
    expect(await eventually(host, "curl", "-sf", "http://localhost:8080")).toContain(PAGE);
    const web = await host.must(...ADDRESS, "webserver");
    expect(web).not.toBe(db);
    for (const place of [`${HOST_ADDRESS}:8080`, "127.0.0.1:8080", "10.88.0.1:8080", web])
      expect(await host.must("curl", "-sf", `http://${place}`)).toContain(PAGE);
    expect(host.outside.sh("curl", "-sf", `http://${HOST_ADDRESS}:8080`)).toContain(PAGE);
    for (const place of [web, `${HOST_ADDRESS}:8080`, "10.88.0.1:8080"]) {
      const url = `http://${place}`;
      expect(await host.must("portolan", "run", "--rm", LEAP, "curl", "-sf", url)).toContain(PAGE);
      expect(await host.must("portolan", "exec", "webserver", "curl", "-sf", url)).toContain(PAGE);
    }

    // A shell inside.
    const shell = host.terminal("portolan", "exec", "-it", "webserver", "bash");
    await shell.until(/[#$] $/);
    shell.type("tty; echo I am $(hostname)\r");
    await shell.until(/\/dev\/pts\/\d+\r\nI am [0-9a-f]{12}\r\n/);
    shell.type("exit 7\r");
    expect(await shell.exited).toBe(7);
    expect(await host.must("portolan", "logs", "webserver")).toContain('"GET / HTTP/1.1" 200');

    // Another database, with a password.
    await host.must(
      "portolan",
      "run",
      "-dt",
      "--name",
      "shop",
      "-e",
      "MARIADB_ROOT_PASSWORD=secret",
      "mariadb",
    );
    const shop = await host.must(...ADDRESS, "shop");
    const select = ["mariadb", "-h", shop, "-uroot", "-psecret", "-Ne", "SELECT 6 * 7"];
    expect(await eventually(host, "portolan", "exec", "shop", ...select)).toBe("42\n");
    const greeting = await converse(host, shop, 3306, undefined, () => undefined);
    expect(greeting.toString("latin1")).toContain("MariaDB");

    const names = await host.must("portolan", "ps", "--format", "{{.Names}}", "--sort", "names");
    expect(names.split("\n").sort()).toEqual(["db", "shop", "webserver"]);
    await host.must("portolan", "rm", "-f", "-a", "-v");
    await host.must("portolan", "rmi", "postgres", "nginx", "mariadb", LEAP);
    expect(difference(before, await snapshot(host))).toEqual([]);
    if (pulled) expect((await host.run(["cat", CONFLIST])).stdout).toBe(ARTICLE_CONFLIST);
  }, 90_000);
