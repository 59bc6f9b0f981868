/** Bridges that somebody else has too: of one subnet with ours, or with ports of podman's containers. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";
import { PODMANS_CONFLIST } from "../support/podman-conflist.ts";
import { openSettledHost, withoutTrace } from "./without-trace.ts";

let host: TestHost;
beforeAll(async () => {
  host = await openSettledHost();
}, 60_000);
afterAll(() => host[Symbol.asyncDispose]());

const portolan = (...words: string[]) => host.must("portolan", ...words);
const leavesNothing = (body: () => Promise<void>) => withoutTrace(host, body);
const SERVE = ["sh", "-c", "while :; do echo hello | nc -l -p 80; done"];

const { path: PODMANS, text: CONFLIST } = PODMANS_CONFLIST;

test("a bridge whose subnet another bridge has is refused, and nothing is left of it", () =>
  leavesNothing(async () => {
    await portolan("run", "-d", "--name", "one", "busybox", ...SERVE);
    await host.must("sh", "-c", `echo '${CONFLIST}' > ${PODMANS}`);
    try {
      const { code, stderr } = await host.run([
        "portolan",
        "run",
        "-d",
        "--name",
        "two",
        "busybox",
        ...SERVE,
      ]);
      expect(code).toBe(126);
      expect(stderr).toMatch(
        /^Error: .*"cni-podman0" can't have 10\.88\.0\.0\/16: bridge "cni0" has that subnet already/,
      );
      expect(stderr).toContain("ip link del cni0");
      expect(await host.must("sh", "-c", "ls /sys/class/net")).not.toContain("cni-podman0");
    } finally {
      await host.must("rm", PODMANS);
    }
  }));

test("explain tells the way that the kernel takes where two bridges have one subnet", () =>
  leavesNothing(async () => {
    await portolan("run", "-d", "--name", "one", "busybox", ...SERVE);
    await host.must("sh", "-c", `echo '${CONFLIST}' > ${PODMANS}`);
    const explained = async () => (await host.run(["portolan", "explain", "host", "one:80"])).stdout;
    try {
      // As somebody does who does not look.
      const add = "ip link add cni-podman0 type bridge; ip link set cni-podman0 up";
      await host.must("sh", "-c", `${add}; ip address add 10.88.0.1/16 dev cni-podman0`);
      await until(
        async () => (await explained()).includes("It gets there"),
        () => "the bridge of the network's former file is not known",
      );
      await host.must("sh", "-c", "ip link set cni0 down; ip link set cni0 up");
      expect(await explained()).toMatch(
        /It stops: one is on bridge cni0, and cni-podman0 has a route to the same subnet that goes before\n {2}remove cni-podman0/,
      );
    } finally {
      await host.must("sh", "-c", `ip link del cni-podman0; rm ${PODMANS}`);
    }
  }));

test("by the address that names are told at, an internal network is reached and reaches published ports; without names nothing leads in or out", () =>
  leavesNothing(async () => {
    const run = (name: string, network: string, ...words: string[]) =>
      portolan("run", "-d", "--name", name, "--network", network, ...words, "busybox", ...SERVE);
    const ask = async (from: string, address: string, port: number) =>
      (await host.run(["portolan", "exec", from, "sh", "-c", `nc -w 1 ${address} ${port} </dev/null`]))
        .stdout;
    const reached = (from: string, address: string, port: number) =>
      until(
        async () => (await ask(from, address, port)) === "hello\n",
        () => `${from} does not reach ${address}:${port}`,
      );
    await portolan("network", "create", "--internal", "--subnet", "10.50.0.0/24", "told");
    await portolan("network", "create", "--internal", "--disable-dns", "--subnet", "10.51.0.0/24", "silent");
    await run("web", "podman", "-p", "8080:80");
    await run("one", "told:ip=10.50.0.9");
    await run("two", "silent:ip=10.51.0.9");
    await run("three", "silent");
    await reached("web", "10.50.0.9", 80);
    await reached("one", "10.50.0.1", 8080);
    await reached("three", "10.51.0.9", 80);
    expect(await ask("web", "10.51.0.9", 80)).toBe("");
    expect(await ask("two", "10.51.0.1", 8080)).toBe("");
    expect(await ask("one", "192.168.77.2", 8080)).toBe("");
  }));
