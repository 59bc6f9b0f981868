/** What `explain` says, against what happens: every verdict about an address is tried out by a connection. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";
import type { TestUser } from "../support/user.ts";
import { openHost, openUser } from "./world.ts";

interface Answer {
  reached: boolean;
  address: string;
  hops: { place: string; text: string }[];
  verdict: { code: string; text: string; advice: string[] };
  notes: string[];
}
type Caller = Pick<TestHost, "run" | "must">;

/** Asks the web server at an address and port for a page; true when it answers. */
async function isAnswered(
  caller: Caller,
  host: TestHost,
  from: string,
  address: string,
  seconds: number,
): Promise<boolean> {
  const [, ip, port] = /^\[?(.*?)\]?:(\d+)$/.exec(address)!;
  const request = "printf 'GET / HTTP/1.0\\r\\n\\r\\n'";
  const byBash = `exec 3<>/dev/tcp/${ip}/${port} && ${request} >&3 && head -n 1 <&3`;
  const bash = ["timeout", `${seconds}`, "bash", "-c", byBash];
  const words =
    from === "internet"
      ? undefined
      : from === "host"
        ? bash
        : [
            "portolan",
            "exec",
            from,
            "sh",
            "-c",
            `(${request}; sleep 0.3) | timeout ${seconds} nc -w ${seconds} ${ip} ${port}`,
          ];
  const heard = words
    ? (await caller.run(words)).stdout
    : await new Response(
        Bun.spawn([...host.outside.words(), ...bash], { stdout: "pipe", stderr: "ignore" }).stdout,
      ).text();
  return heard.startsWith("HTTP/");
}

/** Explains and tries; where nothing is told to try, `instead` must fail. */
async function explained(
  caller: Caller,
  host: TestHost,
  from: string,
  to: string,
  instead = "",
): Promise<Answer> {
  const { code, stdout, stderr } = await caller.run(["portolan", "explain", from, to, "--format", "json"]);
  if (!stdout) throw new Error(`explain ${from} ${to}: ${stderr}`);
  const answer = JSON.parse(stdout) as Answer;
  expect([from, to, code]).toEqual([from, to, answer.reached ? 0 : 1]);
  const address = answer.address || instead;
  if (address) {
    const happens = await isAnswered(caller, host, from, address, answer.reached ? 10 : 1);
    expect([from, to, address, happens]).toEqual([from, to, address, answer.reached]);
  }
  return answer;
}

const serve = (port: number | string) => ["busybox", "httpd", "-f", "-p", `${port}`];
const SLEEP = ["busybox", "sleep", "1000"];

async function start(caller: Caller, name: string, options: string[], command: string[]): Promise<void> {
  await caller.must("portolan", "run", "-d", "--name", name, ...options, ...command);
}

/** Until all that serve do so. */
async function listening(caller: Caller, ...names: string[]): Promise<void> {
  for (const name of names)
    await until(
      async () => (await caller.must("portolan", "explain", name)).includes("listens: "),
      () => `${name} does not listen`,
    );
}

describe("root's containers", () => {
  let host: TestHost;
  const say = (from: string, to: string, instead?: string) => explained(host, host, from, to, instead);
  beforeAll(async () => {
    host = await openHost("busybox");
    await host.must("portolan", "network", "create", "back");
    await host.must("portolan", "network", "create", "--internal", "closed");
    for (const name of ["iso1", "iso2"])
      await host.must("portolan", "network", "create", "-o", "isolate=true", name);
    await host.must(
      "portolan",
      "network",
      "create",
      "--subnet",
      "10.60.0.0/24",
      "--subnet",
      "fd60::/64",
      "six",
    );
    await start(host, "db", ["--network", "back", "-p", "8080:80"], serve(80));
    await start(host, "web", ["--network", "back"], SLEEP);
    await start(host, "shy", ["-p", "127.0.0.1:9090:90"], serve(90));
    await start(host, "narrow", ["-p", "9191:91"], serve("127.0.0.1:91"));
    await start(host, "inner", ["--network", "closed", "-p", "8181:80"], serve(80));
    await start(host, "one", ["--network", "iso1"], serve(80));
    await start(host, "two", ["--network", "iso2"], serve(80));
    await start(host, "tap", ["--network", "slirp4netns", "-p", "7070:80"], serve(80));
    await start(host, "none", ["--network", "none"], SLEEP);
    await start(host, "own", ["--network", "host"], serve(6060));
    await start(host, "side", ["--network", "container:db"], SLEEP);
    await start(host, "six1", ["--network", "six:ip=fd60::9"], serve(80));
    await start(host, "six2", ["--network", "six"], SLEEP);
    await start(
      host,
      "echo",
      ["--network", "back"],
      ["busybox", "nc", "-u", "-l", "-p", "5353", "-e", "cat"],
    );
    await host.must("portolan", "pod", "create", "--name", "shop", "-p", "8282:80");
    await start(host, "shop1", ["--pod", "shop"], SLEEP);
    await start(host, "shop2", ["--pod", "shop"], serve(80));
    await host.must("portolan", "create", "--name", "gone", "-p", "6060:80", ...SLEEP);
    await listening(host, "db", "shy", "narrow", "inner", "one", "two", "tap", "six1", "shop2");
  }, 60_000);
  afterAll(() => host[Symbol.asyncDispose]());

  test("on one network", async () => {
    const found = await say("web", "db:80");
    expect(found).toMatchObject({ reached: true, verdict: { code: "listens" } });
    expect(found.verdict.text).toMatch(/^httpd \(pid \d+\) listens on \[::\]:80 in db$/);
    expect(found.notes).toContain("db is known by name on network back");
    expect(found.hops.map(one => one.place)).toEqual(["web", "host"]);
    expect((await host.run(["portolan", "exec", "web", "nslookup", "db"])).stdout).toContain("Name:");
    const empty = await say("web", "db:81");
    expect(empty.verdict).toMatchObject({ code: "no-listener", text: "nothing listens on port 81 in db" });
    const udp = await host.must("sh", "-c", "portolan explain web db:80/udp || true");
    expect(udp).toContain("listens on port 80 in db by TCP, not by UDP");
  });

  test("between networks, from the host and from outside", async () => {
    expect(await say("shy", "db:80")).toMatchObject({ reached: true });
    expect(await say("host", "db:80")).toMatchObject({ reached: true });
    expect((await say("host", "[::1]:8080")).verdict.text).toBe("port 8080 is published, but not at ::1");
    const outside = await say("internet", "db:80");
    expect(outside.notes).toEqual(["db publishes 80 on the host; use 192.168.77.2:8080"]);
    const unpublished = await say("internet", "web:80", "192.168.77.2:80");
    expect(unpublished.verdict).toEqual({
      code: "not-published",
      text: "web publishes no port",
      advice: ["start it with -p 80:80"],
    });
    const isolated = await say("one", "two:80");
    expect(isolated.verdict.text).toBe("iso1 and iso2 are isolated from each other");
    expect(await say("shy", "one:80")).toMatchObject({ reached: true });
  });

  test("published on one address of the host, and a server that keeps to its loopback", async () => {
    expect(await say("host", "shy:90")).toMatchObject({ reached: true });
    const outside = await say("internet", "shy:90", "192.168.77.2:9090");
    expect(outside.verdict.text).toBe(
      "shy publishes 90 on 127.0.0.1 only: callers from outside do not reach it",
    );
    const narrow = await say("internet", "narrow:91");
    expect(narrow.verdict).toMatchObject({
      code: "narrow-listener",
      text: expect.stringMatching(
        /^httpd \(pid \d+\) listens on 127\.0\.0\.1:91 only in narrow: callers from outside do not reach it$/,
      ),
      advice: ["make it listen on 0.0.0.0"],
    });
  });

  test("an internal network", async () => {
    const out = await say("inner", "192.168.77.2:6060");
    expect(out.verdict.text).toBe("no default route in inner: closed is internal, no way out");
    expect(await say("host", "inner:80")).toMatchObject({ reached: true });
    await say("web", "inner:80");
    await say("internet", "inner:80");
  });

  test("other modes", async () => {
    expect(await say("web", "tap:80")).toMatchObject({ reached: true, address: "192.168.77.2:7070" });
    expect(await say("tap", "db:80")).toMatchObject({ reached: true, address: "192.168.77.2:8080" });
    expect(await say("internet", "tap:80")).toMatchObject({ reached: true });
    expect(await say("tap", "10.0.2.2:6060")).toMatchObject({ verdict: { code: "host-closed" } });
    expect(await say("tap", "web:80", "192.168.77.2:80")).toMatchObject({
      verdict: { code: "not-published" },
    });
    expect(await say("web", "own:6060")).toMatchObject({ reached: true });
    expect(await say("host", "own:6060")).toMatchObject({ reached: true, address: "127.0.0.1:6060" });
    const side = await say("side", "db:80");
    expect(side).toMatchObject({ reached: true, address: "127.0.0.1:80" });
    expect(side.notes).toEqual(["side and db share one network: they are one localhost"]);
    expect((await say("none", "192.168.77.2:6060")).verdict.text).toBe(
      "none has no network (--network none)",
    );
    expect((await say("web", "none:80")).verdict.code).toBe("no-network");
    expect(await say("six2", "six1:80")).toMatchObject({ reached: true });
    expect(await say("six2", "[fd60::9]:80")).toMatchObject({ reached: true });
    expect(await say("web", "[fd60::9]:80")).toMatchObject({ verdict: { code: "no-route" } });
  });

  test("a pod", async () => {
    const inside = await say("shop1", "shop2:80");
    expect(inside).toMatchObject({ reached: true, address: "127.0.0.1:80" });
    expect(inside.notes).toContain("shop1 and shop2 share one network: they are one localhost");
    const direct = await say("shy", "shop:80");
    expect(direct).toMatchObject({ reached: true });
    expect(direct.verdict.text).toMatch(/^httpd \(pid \d+\) listens on \[::\]:80 in shop$/);
    expect(await say("internet", "shop2:80")).toMatchObject({ address: "192.168.77.2:8282", reached: true });
    expect((await say("internet", "shop:81", "192.168.77.2:81")).verdict).toEqual({
      code: "not-published",
      text: "shop publishes 80, not 81",
      advice: ["make the pod with -p 81:81"],
    });
    expect(await host.must("portolan", "explain", "shop2")).toContain("network: the network of shop");
    await host.must("portolan", "pod", "stop", "-t", "0", "shop");
    expect((await say("shy", "shop:80")).verdict).toMatchObject({
      text: "shop is not running",
      advice: ["portolan pod start shop"],
    });
  });

  test("by UDP: the resolver of a network", async () => {
    const found = await host.must("portolan", "explain", "web", "10.89.0.1:53/udp");
    expect(found).toMatch(/It gets there: \S+ \(pid \d+\) listens on 10\.89\.0\.1:53 \(UDP\) in host/);
    const asked = await host.run(["portolan", "exec", "web", "nslookup", "db", "10.89.0.1"]);
    expect(asked.stdout).toMatch(/Name:\s+db/);
  });

  test("not running, and a port that somebody else holds", async () => {
    const { verdict } = await say("web", "gone:80");
    expect(verdict.text).toBe("gone is not running");
    expect(verdict.advice).toEqual([
      "portolan start gone",
      expect.stringMatching(/^port 6060 of the host is held by somebody else: httpd \(pid \d+\)$/),
    ]);
    expect((await host.run(["portolan", "start", "gone"])).code).not.toBe(0);
    await host.must("portolan", "pause", "six1");
    try {
      expect((await say("six2", "six1:80", "[fd60::9]:80")).verdict).toMatchObject({
        text: "six1 is paused: nothing in it speaks",
        advice: ["portolan unpause six1"],
      });
    } finally {
      // A host whose processes are frozen would not end.
      await host.must("portolan", "unpause", "six1");
    }
  });

  test("what is broken on the host", async () => {
    await host.must("ip", "link", "set", "cni-podman1", "down");
    expect((await say("web", "db:80")).verdict.text).toBe("bridge cni-podman1 is down");
    expect((await say("host", "db:80")).verdict.code).not.toBe("listens");
    await host.must("ip", "link", "set", "cni-podman1", "up");
    await host.must("sysctl", "-qw", "net.ipv4.ip_forward=0");
    expect((await say("internet", "db:80")).verdict).toMatchObject({
      text: "ip_forward is off on host",
      advice: ["sysctl -w net.ipv4.ip_forward=1"],
    });
    await host.must("sysctl", "-qw", "net.ipv4.ip_forward=1");
    await host.must("nft", "flush", "map", "inet", "portolan", "port4");
    const lost = await say("internet", "db:80");
    expect(lost.verdict.advice).toEqual(["portolan network reload db"]);
    await host.must("sh", "-c", lost.verdict.advice[0]!);
    expect(await say("internet", "db:80")).toMatchObject({ reached: true });
  });

  test("a network alone, wrong words and --help", async () => {
    const lines = await host.must("portolan", "explain", "db");
    expect(lines).toContain("from outside: 192.168.77.2:8080");
    expect(lines).toContain("to the internet: yes");
    expect(await host.must("portolan", "explain", "host")).toContain("ip_forward is on");
    for (const [words, said] of [
      [["nobody", "db"], 'no container or pod with name or ID "nobody" found'],
      [["web", "db:x"], 'invalid port "x"'],
      [["web", "db:80/icmp"], 'invalid protocol "icmp"'],
      [["internet"], "what is outside can't be told of alone"],
      [[], "requires at least 1 arg(s), only received 0"],
    ] as const) {
      const { code, stderr } = await host.run(["portolan", "explain", ...words]);
      expect([code, stderr]).toEqual([125, expect.stringContaining(`Error: ${said}`)]);
    }
    expect(await host.must("portolan", "explain", "--help")).toContain("1 when it is stopped");
  });
});

describe("an ordinary user's containers", () => {
  let user: TestUser & AsyncDisposable;
  const say = (from: string, to: string, instead?: string) => explained(user, user.host, from, to, instead);
  beforeAll(async () => {
    user = await openUser("busybox");
    await user.must("portolan", "network", "create", "back");
    for (const name of ["iso1", "iso2"])
      await user.must("portolan", "network", "create", "-o", "isolate=true", name);
    await start(user, "db", ["--network", "back", "-p", "8080:80"], serve(80));
    await start(user, "web", ["--network", "back"], SLEEP);
    await start(user, "one", ["--network", "iso1"], SLEEP);
    await start(user, "two", ["--network", "iso2"], serve(80));
    await user.must("portolan", "network", "create", "--internal", "closed");
    await start(user, "inner", ["--network", "closed", "-p", "8181:80"], serve(80));
    await start(user, "tap", ["-p", "7070:80"], serve(80));
    await start(user, "tap2", [], SLEEP);
    await start(user, "open", ["--network", "slirp4netns:allow_host_loopback=true"], SLEEP);
    await start(user, "twin", ["--network", "pasta", "-p", "5050:80"], serve(80));
    await start(user, "own", ["--network", "host"], serve(6060));
    await user.must("portolan", "pod", "create", "--name", "shop", "-p", "8282:80");
    await start(user, "shop1", ["--pod", "shop"], SLEEP);
    await start(user, "shop2", ["--pod", "shop"], serve(80));
    await user.must(
      ...["portolan", "network", "create", "--subnet", "10.60.0.0/24", "--subnet", "fd60::/64", "six"],
    );
    await start(user, "four", ["-p", "7171:80"], serve("0.0.0.0:80"));
    await start(user, "fours", ["--network", "six", "-p", "7272:80"], serve("0.0.0.0:80"));
    await listening(user, "db", "two", "tap", "twin", "inner", "shop2", "four", "fours");
  }, 60_000);
  afterAll(() => user[Symbol.asyncDispose]());

  test("behind taps", async () => {
    expect(await say("tap2", "tap:80")).toMatchObject({ reached: true, address: "192.168.77.2:7070" });
    expect(await say("tap2", "tap:81", "192.168.77.2:81")).toMatchObject({
      verdict: { text: "tap publishes 80, not 81" },
    });
    expect(await say("host", "tap:80")).toMatchObject({ reached: true, address: "127.0.0.1:7070" });
    expect(await say("internet", "tap:80")).toMatchObject({ reached: true });
    expect(await say("internet", "tap2:80", "192.168.77.2:80")).toMatchObject({ reached: false });
    expect(await say("tap2", "10.0.2.2:6060")).toMatchObject({ verdict: { code: "host-closed" } });
    expect(await say("open", "10.0.2.2:6060")).toMatchObject({ reached: true });
    expect(await say("twin", "tap:80")).toMatchObject({ reached: true, address: "169.254.1.2:7070" });
    expect(await say("tap", "twin:80")).toMatchObject({ reached: true, address: "192.168.77.2:5050" });
    expect(await say("tap", "own:6060")).toMatchObject({ reached: true });
  });

  test("callers of IPv6, whom a server of IPv4 alone gets by the second try", async () => {
    for (const [name, port] of [
      ["four", 7171],
      ["fours", 7272],
    ] as const) {
      const found = await say("host", `[::1]:${port}`);
      expect(found).toMatchObject({ reached: true, verdict: { code: "listens" } });
      expect(found.verdict.text).toEndWith(`listens on 0.0.0.0:80 in ${name}`);
      expect(found.hops.filter(one => one.text.startsWith("refused there: on to"))).toHaveLength(1);
    }
  });

  test("a pod", async () => {
    expect(await say("shop1", "shop2:80")).toMatchObject({ reached: true, address: "127.0.0.1:80" });
    expect(await say("tap2", "shop:80")).toMatchObject({ reached: true, address: "192.168.77.2:8282" });
    expect(await say("internet", "shop2:80")).toMatchObject({ reached: true });
  });

  test("on bridges", async () => {
    const found = await say("web", "db:80");
    expect(found.verdict.text).toMatch(/^httpd \(pid \d+\) listens on \[::\]:80 in db$/);
    expect(found.notes).toContain("db is known by name on network back");
    expect(await say("host", "db:80")).toMatchObject({ reached: true, address: "127.0.0.1:8080" });
    expect(await say("internet", "db:80")).toMatchObject({ reached: true });
    expect(await say("tap", "db:80")).toMatchObject({ reached: true });
    expect(await say("web", "tap:80")).toMatchObject({ reached: true });
    expect((await say("one", "two:80")).verdict.code).toBe("isolated");
    expect(await say("one", "db:80")).toMatchObject({ reached: true });
    const inside = await user.must(
      "portolan",
      "inspect",
      "-f",
      "{{.NetworkSettings.Networks.back.IPAddress}}",
      "db",
    );
    expect((await say("host", `${inside}:80`)).verdict.text).toContain("in your network namespace");
    expect(await say("inner", "internet")).toMatchObject({ verdict: { code: "no-route" } });
    await say("internet", "inner:80");
    await say("host", "inner:80");
    await say("web", "inner:80");
    expect(await say("db", "internet")).toMatchObject({ reached: true, verdict: { code: "leaves" } });
  });
});
