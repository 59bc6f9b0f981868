/** What each option does that a guest, a parent or the file system can see. */
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { closeFd, writeFd } from "../../src/sys/fd.ts";
import { socketPair } from "../../src/sys/socket-pair.ts";
import { openTap } from "../../src/sys/tun.ts";
import { TestNetns } from "../support/netns.ts";
import { askTcp, serveTcp, stopSockets } from "../support/sockets.ts";
import { gone, OUTSIDE, OUTSIDE6, World } from "./world.ts";

const world = new World();
serveTcp(world.outside, OUTSIDE, 7000, "outside");
serveTcp(world.host, "127.0.0.1", 7001, "host");
afterAll(async () => {
  stopSockets();
  await world[Symbol.asyncDispose]();
});

interface Link {
  ifname: string;
  mtu: number;
  address: string;
  flags: string[];
}
interface Address {
  addr_info: { local: string; prefixlen: number; broadcast?: string }[];
}

function network(guest: TestNetns) {
  const [tap] = guest.json<Link[]>("ip", "-j", "link", "show", "tap0");
  const [lo] = guest.json<Link[]>("ip", "-j", "link", "show", "lo");
  const [four] = guest.json<Address[]>("ip", "-j", "-4", "address", "show", "tap0");
  const [six] = guest.json<Address[]>("ip", "-j", "-6", "address", "show", "tap0");
  const routes = (family: string) =>
    guest
      .json<{ dst: string; gateway?: string }[]>("ip", "-j", family, "route", "show", "default")
      .map(({ gateway }) => gateway);
  return {
    mtu: tap!.mtu,
    mac: tap!.address,
    up: [lo!, tap!].map(link => link.flags.includes("UP")),
    four: four?.addr_info.map(({ local, prefixlen, broadcast }) => `${local}/${prefixlen} ${broadcast}`),
    six: six?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`) ?? [],
    routes: [routes("-4"), routes("-6")],
  };
}

describe("--configure", () => {
  test("by itself", async () => {
    const { guest } = await world.start("ours");
    expect(network(guest)).toMatchObject({
      mtu: 1500,
      up: [true, true],
      four: ["10.0.2.100/24 10.0.2.255"],
      routes: [["10.0.2.2"], []],
    });
  });

  test("with --mtu, --macaddress, --cidr and --enable-ipv6", async () => {
    const words = "-c -6 --mtu=65520 --macaddress=02:11:22:33:44:55 --cidr=10.9.0.0/16";
    const { guest } = await world.start("ours", words.split(" "));
    const seen = network(guest);
    expect(seen).toMatchObject({
      mtu: 65520,
      mac: "02:11:22:33:44:55",
      four: ["10.9.0.100/16 10.9.255.255"],
    });
    // The router's advertisement may have come by now, with a route of its own.
    expect(seen.routes[0]).toEqual(["10.9.0.2"]);
    expect(seen.routes[1]).toContain("fd00::2");
    expect(seen.six).toContain("fd00::100/64");
    expect(await askTcp(guest, OUTSIDE, 7000)).toBe("outside 192.0.2.1");
    expect(await askTcp(guest, "10.9.0.2", 7001)).toBe("host 127.0.0.1");
  });

  test("a namespace that is configured already is taken as it is", async () => {
    const first = await world.start("ours", ["-c", "-6"]);
    first.hangUp();
    await first.process.exited;
    const again = await world.start("ours", ["-c", "-6"], first.guest);
    expect(network(again.guest).four).toEqual(["10.0.2.100/24 10.0.2.255"]);
    expect(await askTcp(again.guest, OUTSIDE, 7000)).toBe("outside 192.0.2.1");
  });

  test("without it the interface is there, and nothing else has changed", async () => {
    const { guest } = await world.start("ours", []);
    expect(network(guest)).toMatchObject({ up: [false, false], routes: [[], []] });
  });

  test("an interface that somebody has made before is used (RootlessKit's way)", async () => {
    const guest = new TestNetns("guest");
    guest.sh("ip", "tuntap", "add", "name", "tap0", "mode", "tap");
    guest.sh("ip", "address", "add", "10.0.2.100/24", "dev", "tap0");
    guest.sh("ip", "link", "set", "tap0", "up");
    guest.sh("ip", "route", "add", "default", "via", "10.0.2.2");
    await world.start("ours", [], guest);
    expect(await askTcp(guest, OUTSIDE, 7000)).toBe("outside 192.0.2.1");
  });
});

describe("where the target is said to be", () => {
  test("by a process", async () => {
    using guest = new TestNetns("guest");
    const holder = guest.run(() => Bun.spawn(["sleep", "infinity"]));
    const child = world.host.run(() =>
      Bun.spawn([world.command("ours"), "-c", "-r", "3", `${holder.pid}`, "tap0"], {
        stdio: ["ignore", "ignore", "inherit", "pipe"],
      }),
    );
    expect(await Bun.file(child.stdio[3] as number).text()).toBe("1");
    expect(await askTcp(guest, OUTSIDE, 7000)).toBe("outside 192.0.2.1");
    holder.kill();
    child.kill();
    expect(await child.exited).toBe(0);
  });

  test("by a descriptor of a tap (--netns-type=tapfd)", async () => {
    using guest = new TestNetns("guest");
    const { fd } = guest.run(() => openTap("tap0"));
    guest.sh("ip", "address", "add", "10.0.2.100/24", "dev", "tap0");
    guest.sh("ip", "link", "set", "tap0", "up");
    guest.sh("ip", "route", "add", "default", "via", "10.0.2.2");
    const child = world.host.run(() =>
      Bun.spawn([world.command("ours"), "-r", "3", "--netns-type=tapfd", "4"], {
        stdio: ["ignore", "ignore", "inherit", "pipe", fd],
      }),
    );
    expect(await Bun.file(child.stdio[3] as number).text()).toBe("1");
    expect(await askTcp(guest, OUTSIDE, 7000)).toBe("outside 192.0.2.1");
    child.kill();
    expect(await child.exited).toBe(0);
  });
});

describe("what the guest may reach", () => {
  test("--disable-host-loopback closes the gateway", async () => {
    const open = await world.start("ours");
    const closed = await world.start("ours", ["-c", "--disable-host-loopback"]);
    expect(await askTcp(open.guest, "10.0.2.2", 7001)).toBe("host 127.0.0.1");
    expect(await askTcp(closed.guest, "10.0.2.2", 7001)).toBe("refused");
    expect(await askTcp(closed.guest, OUTSIDE, 7000)).toBe("outside 192.0.2.1");
  });

  test("--disable-dns closes the name server's address", async () => {
    const { guest } = await world.start("ours", ["-c", "--disable-dns"]);
    expect(await askTcp(guest, "10.0.2.3", 53)).toBe("refused");
    expect(await askTcp(guest, OUTSIDE, 7000)).toBe("outside 192.0.2.1");
  });

  test("--outbound-addr6", async () => {
    world.host.sh("ip", "address", "add", "2001:db8::77/64", "dev", "eth0", "nodad");
    serveTcp(world.outside, OUTSIDE6, 7000, "outside");
    const { guest } = await world.start("ours", ["-c", "-6", "--outbound-addr6=2001:db8::77"]);
    expect(await askTcp(guest, OUTSIDE6, 7000)).toBe("outside 2001:db8::77");
  });

  test("--outbound-addr takes an address and an interface", async () => {
    world.host.sh("ip", "address", "add", "192.0.2.77/24", "dev", "eth0");
    world.host.sh("ip", "link", "add", "other", "type", "bridge");
    world.host.sh("ip", "address", "add", "192.0.2.78/32", "dev", "other");
    const byAddress = await world.start("ours", ["-c", "--outbound-addr=192.0.2.77"]);
    const byInterface = await world.start("ours", ["-c", "--outbound-addr=other"]);
    expect(await askTcp(byAddress.guest, OUTSIDE, 7000)).toBe("outside 192.0.2.77");
    expect(await askTcp(byInterface.guest, OUTSIDE, 7000)).toBe("outside 192.0.2.78");
  });
});

describe("beginning and end", () => {
  test("ready-fd gets one character and is closed", async () => {
    const { ready } = await world.start("ours");
    expect(ready).toBe("1");
  });

  test("it leaves when the other end of exit-fd is closed, and takes the interface along", async () => {
    const running = await world.start("ours");
    const children = running.children();
    expect(children).toHaveLength(1);
    running.hangUp();
    const { code, stderr } = await running.outcome();
    expect([code, stderr]).toEqual([0, ""]);
    for (const child of children) await gone(child);
    expect(running.guest.json<object[]>("ip", "-j", "link")).toHaveLength(1);
  });

  test.each([
    ["a byte that can be read", (fd: number) => writeFd(fd, Uint8Array.of(49))],
    ["the end of a socket", (fd: number) => closeFd(fd)],
  ])("it leaves at %s at its exit-fd", async (_, act) => {
    using guest = new TestNetns("guest");
    const [ours, theirs] = socketPair();
    const words = ["-c", "-r", "3", "-e", "4", "--netns-type=path", guest.path, "tap0"];
    const child = world.host.run(() =>
      Bun.spawn([world.command("ours"), ...words], {
        stdio: ["ignore", "ignore", "inherit", "pipe", theirs],
      }),
    );
    closeFd(theirs);
    expect(await Bun.file(child.stdio[3] as number).text()).toBe("1");
    act(ours);
    expect(await child.exited).toBe(0);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("it leaves at %s", async signal => {
    const running = await world.start("ours");
    const [child] = running.children();
    running.process.kill(signal);
    expect((await running.outcome()).code).toBe(0);
    await gone(child!);
  });

  test("killed, it takes its data plane along", async () => {
    const running = await world.start("ours");
    const [child] = running.children();
    running.process.kill("SIGKILL");
    await gone(child!);
    expect(running.guest.json<object[]>("ip", "-j", "link")).toHaveLength(1);
  });

  test("the process that was started keeps its name, its arguments and nothing of its environment", async () => {
    const running = await world.start("ours");
    const words = readFileSync(`/proc/${running.pid}/cmdline`, "utf8").split("\0");
    expect(words.slice(0, 2)).toEqual([world.installed.path, "-c"]);
    expect(readFileSync(`/proc/${running.pid}/comm`, "utf8")).toBe("slirp4netns\n");
    expect(readFileSync(`/proc/${running.pid}/environ`, "utf8")).not.toContain("PATH=");
  });

  test("the API socket is its owner's alone", async () => {
    const { apiSocket } = await world.start("ours");
    expect(statSync(apiSocket).mode & 0o777).toBe(0o600);
  });
});
