/** Bridge networks of an ordinary user: containers reach each other and the world, and the world their ports. */
import { expect, test } from "bun:test";
import { chownSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Attachment } from "../../src/network/service.ts";
import { lock, tryLock } from "../../src/sys/flock.ts";
import { until } from "../support/await.ts";
import { greet, server } from "./programs.ts";
import { Container, HOST, HOST6, NetworkWorld, OUTSIDE, OUTSIDE6, UID } from "./world.ts";

const port = (hostPort: number, protocol: "tcp" | "udp", hostIp = "") => ({
  hostIp,
  hostPort,
  containerPort: 7000,
  protocol,
  range: 1,
});

test("containers of a user's bridge reach each other and the outside", async () => {
  await using world = await NetworkWorld.create("user");
  await using _outside = await server(world.outside.words(), 7000);
  const one = await world.bridged("one");
  const two = await world.bridged("two");
  expect([one.attachment.ipv4, two.attachment.ipv4]).toEqual(["10.89.0.2", "10.89.0.3"]);
  await using _one = await server(one.container.words(), 7000);
  for (const protocol of ["tcp", "udp"] as const) {
    expect(await greet(two.container.words(), protocol, "10.89.0.2", 7000)).toBe("10.89.0.3");
    expect(await greet(two.container.words(), protocol, "fd00:89::2", 7000)).toBe("fd00:89::3");
    expect(await greet(two.container.words(), protocol, OUTSIDE, 7000)).toBe(HOST);
    expect(await greet(two.container.words(), protocol, OUTSIDE6, 7000)).toBe(HOST6);
  }
});

test("callers of a bridged container's ports are seen as who they are", async () => {
  await using world = await NetworkWorld.create("user");
  const ports = [port(8080, "tcp"), port(8080, "udp")];
  const one = await world.bridged("one", ports);
  await using _one = await server(one.container.words(), 7000);
  const two = await world.bridged("two");
  for (const protocol of ["tcp", "udp"] as const) {
    expect(await greet(world.outside.words(), protocol, HOST, 8080)).toBe(OUTSIDE);
    expect(await greet(world.outside.words(), protocol, HOST6, 8080)).toBe(OUTSIDE6);
    expect(await greet(world.host.words(), protocol, "127.0.0.1", 8080)).toBe("10.0.2.2");
    // By the host's address, as the world reaches it; the way leads out by the host and in again.
    expect(await greet(two.container.words(), protocol, HOST, 8080)).toBe(HOST);
  }
});

test("two containers have the same port at two addresses of the host's", async () => {
  await using world = await NetworkWorld.create("user");
  const one = await world.bridged("one", [port(8080, "tcp", "127.0.0.1")]);
  const two = await world.bridged("two", [port(8080, "tcp", HOST)]);
  {
    await using _two = await server(two.container.words(), 7000);
    expect(await greet(world.outside.words(), "tcp", HOST, 8080)).toBe(OUTSIDE);
  }
  await using _one = await server(one.container.words(), 7000);
  expect(await greet(world.host.words(), "tcp", "127.0.0.1", 8080)).toBe("10.0.2.2");
});

test("with the last container the home namespace goes, and nothing is left", async () => {
  await using world = await NetworkWorld.create("user");
  await world.bridged("one", [port(8080, "tcp")]);
  await world.bridged("two");
  const home = join(world.scratch, "netns", "rootless-netns");
  await world.ask({ do: "detach", name: "one", network: "net" });
  await world.ask({ do: "leave", name: "one" });
  expect(existsSync(home)).toBe(true);
  await using _outside = await server(world.outside.words(), 7000);
  const three = await world.bridged("three", [port(8080, "tcp")]);
  expect(await greet(three.container.words(), "tcp", OUTSIDE, 7000)).toBe(HOST);
  for (const name of ["two", "three"]) {
    await world.ask({ do: "detach", name, network: "net" });
    await world.ask({ do: "leave", name });
  }
  expect(existsSync(home)).toBe(false);
  expect(readdirSync(join(world.scratch, "netns"))).toEqual([]);
  expect(readdirSync(join(world.scratch, "cni", "results"))).toEqual([]);
  expect(existsSync(join(world.scratch, "rootless-netns.json"))).toBe(false);
  expect(await world.ask<string[]>({ do: "orders" })).toEqual([]);
  // Quiet when it is asked for again.
  await world.ask({ do: "detach", name: "three", network: "net" });
  const again = await world.bridged("again");
  expect(await greet(again.container.words(), "tcp", OUTSIDE, 7000)).toBe(HOST);
});

test("the way out keeps clear of networks, also of one that was made where it is", async () => {
  await using world = await NetworkWorld.create("user");
  await using _outside = await server(world.outside.words(), 7000);
  await world.bridged("one");
  await world.container("two");
  world.addNetwork("late", "10.0.2.0/24");
  const attach = () => world.ask<Attachment>({ do: "attach", name: "two", network: "late" });
  await expect(attach()).rejects.toThrow("the subnet 10.0.2.0/24 of network late is the way out");
  await world.ask({ do: "detach", name: "two", network: "late" });
  await world.ask({ do: "detach", name: "one", network: "net" });
  expect((await attach()).ipv4).toBe("10.0.2.2");
  const two = new Container(world.pathOf("two"));
  expect(await greet(two.words(), "tcp", OUTSIDE, 7000)).toBe(HOST);
});

test("what a killed command's helper is at is over before others get the command's locks", async () => {
  await using world = await NetworkWorld.create("user");
  const lockFile = (name: string) => join(world.scratch, "locks", name);
  await world.ask({ do: "lock" });
  await world.container("one");
  const home = lock(lockFile("rootless-netns"));
  chownSync(lockFile("rootless-netns"), UID, UID);
  const { ino } = statSync(lockFile("rootless-netns"));
  world.ask({ do: "attach", name: "one", network: "net" }).catch(() => {});
  await until(
    () => new RegExp(`-> FLOCK .*:${ino} `).test(readFileSync("/proc/locks", "utf8")),
    () => "the helper does not wait for the lock of the home namespace",
  );
  await world.kill();
  expect(tryLock(lockFile("command"))).toBeUndefined();
  home.release();
  await until(
    () => {
      using held = tryLock(lockFile("command"));
      return held !== undefined;
    },
    () => "the helper keeps the command's lock",
  );
});
