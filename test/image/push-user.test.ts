/** An ordinary user and a registry: logs in, pushes, looks, pulls again. */
import { expect, test } from "bun:test";
import { imageArchive } from "../podman/image.ts";
import { OUTSIDE_ADDRESS, TestHost } from "../support/host.ts";
import { TestRegistry } from "../support/registry.ts";
import { TestUser } from "../support/user.ts";

const isReady = process.getuid?.() === 0 && Bun.which("docker-registry") !== null;

test("a user's login opens the registry to his pushes and pulls, and is his alone", async () => {
  if (!isReady) return console.log("skipped: needs root and docker-registry");
  await using registry = await TestRegistry.start({ users: { me: "secret" } });
  await using host = await TestHost.create();
  await host.useRegistry(registry, []);
  const user = await TestUser.add(host);
  const address = `${OUTSIDE_ADDRESS}:5000`;
  const local = "--tls-verify=false";
  await user.must("portolan", "load", "-q", "-i", await imageArchive("busybox"));
  const refused = await user.run(["portolan", "push", "-q", local, "busybox", `${address}/mine/box`]);
  expect([refused.code, refused.stderr]).toEqual([125, expect.stringMatching(/^Error: [^\n]*unauthorized/)]);
  expect(await user.must("portolan", "login", local, "-u", "me", "-p", "secret", address)).toBe(
    "Login Succeeded!",
  );
  const file = `${user.runtime}/containers/auth.json`;
  expect(await host.must("stat", "-c", "%a %u", file)).toBe(`600 ${user.uid}`);
  await user.must("portolan", "push", "-q", local, "busybox", `${address}/mine/box`);
  expect(await user.must("portolan", "search", local, "--list-tags", `${address}/mine/box`)).toMatch(
    /mine\/box +latest$/,
  );
  const id = await user.must("portolan", "images", "-q", "--no-trunc", "busybox");
  await user.must("portolan", "rmi", "busybox");
  expect(`sha256:${await user.must("portolan", "pull", "-q", local, `${address}/mine/box`)}`).toBe(id);
  expect(await user.must("portolan", "logout", address)).toBe(`Removed login credentials for ${address}`);
}, 60_000);
