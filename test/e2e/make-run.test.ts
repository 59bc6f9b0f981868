/** What `make run` does once everything is built, on a machine that no registry is in reach of. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { buildImage } from "../../scripts/images/build.ts";
import { TestHost } from "../support/host.ts";
import { difference, snapshot } from "../support/leaks.ts";

const RUN = [process.execPath, "run", resolve(import.meta.dir, "../../scripts/run.ts")];

test("a web server runs, its page is fetched, a second run replaces it", async () => {
  await buildImage("nginx");
  await using host = await TestHost.create();
  for (let time = 0; time < 2; time++) {
    const { code, stdout, stderr } = await host.run(RUN);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("http://localhost:8080 says: Welcome to nginx!");
    expect(stdout).toContain("portolan exec -it webserver bash");
    expect(/curl http:\/\/(10\.88\.\S+)/.exec(stdout)?.[1]).toBe(
      await host.must("portolan", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", "webserver"),
    );
  }
  expect(await host.must("portolan", "ps", "-a", "--format", "{{.Names}}")).toBe("webserver");
}, 60_000);

test("a port that is taken is told in one line, and nothing is begun", async () => {
  await using host = await TestHost.create();
  await host.must("portolan", "load", "-q", "-i", await buildImage("nginx"));
  const holder = host.spawn([
    ...[process.execPath, "-e"],
    `Bun.listen({ hostname: "0.0.0.0", port: 8080, socket: { data() {} } }); console.log("listening")`,
  ]);
  await holder.stdout.getReader().read();
  const before = await snapshot(host);
  const { code, stdout, stderr } = await host.run(RUN);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^Error: port 8080 is in use by another program[^\n]*\n$/);
  expect(difference(before, await snapshot(host))).toEqual([]);
}, 60_000);
