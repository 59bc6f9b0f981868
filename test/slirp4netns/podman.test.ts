/** Debian's Podman 4.3.1 as an ordinary user, with ours by `--network-cmd-path`. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { serveNames } from "../support/dns-server.ts";
import { HOST_ADDRESS, OUTSIDE_ADDRESS, type Outcome } from "../support/host.ts";
import { serveTcp, stopSockets } from "../support/sockets.ts";
import type { TestUser } from "../support/user.ts";
import { createUser, OURS } from "./ordinary-user.ts";

/** No systemd, no limits above what a user has, and nothing of what containers.conf of the machine says. */
const CONTAINERS_CONF = `[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;
/** The host shows only a part of the control groups, and not where the processes are. */
const OWN_GROUPS = "--cgroupns=private";
const TOOLS = "sh nc telnet ping ping6 nslookup httpd cat ip sleep grep";
const PREPARE = `set -e
mkdir -p .config/containers rootfs/bin rootfs/etc rootfs/proc rootfs/sys rootfs/dev rootfs/tmp rootfs/www
cat >.config/containers/containers.conf
cp /bin/busybox rootfs/bin/
for tool in ${TOOLS}; do ln -s busybox rootfs/bin/$tool; done
echo hello from the container >rootfs/www/index.html`;

let user: TestUser;
let names: Disposable;
beforeAll(async () => {
  user = await createUser();
  const { host } = user;
  const { outside } = host;
  outside.sh("ip", "address", "add", "2001:db8::2/64", "dev", "cable", "nodad");
  serveTcp(outside, OUTSIDE_ADDRESS, 7000, "outside");
  serveTcp(outside, "2001:db8::2", 7000, "outside");
  names = await serveNames(outside, OUTSIDE_ADDRESS);
  await host.write("/etc/resolv.conf", `nameserver ${OUTSIDE_ADDRESS}\n`);
  const { code, stderr } = await user.run(["sh", "-c", PREPARE], { stdin: CONTAINERS_CONF });
  if (code !== 0) throw new Error(`the containers can't be prepared: ${stderr}`);
});
afterAll(async () => {
  stopSockets();
  names[Symbol.dispose]();
  await user.host[Symbol.asyncDispose]();
});

const podman = (...words: string[]): Promise<Outcome> =>
  user.run(["podman", `--network-cmd-path=${OURS}`, "--log-level=error", ...words]);

/** Runs a shell script in a container; what it printed. */
async function inside(network: string, script: string, ...options: string[]): Promise<string> {
  const words = [
    `--network=${network ? `slirp4netns:${network}` : "slirp4netns"}`,
    "--rootfs",
    `${user.home}/rootfs`,
    "sh",
    "-c",
    script,
  ];
  const { code, stdout, stderr } = await podman("run", "--rm", OWN_GROUPS, ...options, ...words);
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}${stdout}`);
  return stdout;
}

async function start(name: string, network: string, script: string, ...options: string[]): Promise<void> {
  const words = [
    `--network=${network ? `slirp4netns:${network}` : "slirp4netns"}`,
    "--rootfs",
    `${user.home}/rootfs`,
    "sh",
    "-c",
    script,
  ];
  const { code, stderr } = await podman("run", "-d", OWN_GROUPS, `--name=${name}`, ...options, ...words);
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
  await until(
    async () => (await podman("logs", name)).stdout.includes("listening"),
    () => `nothing listens in ${name}`,
  );
}

const remove = (...names: string[]) => podman("rm", "-f", "-t", "0", ...names);

/** A page as a client on the outside gets it. */
async function page(url: string): Promise<string> {
  const child = user.host.outside.run(() =>
    Bun.spawn(["curl", "-sS", "--max-time", "10", url], { stdout: "pipe", stderr: "pipe" }),
  );
  return (await child.stdout.text()) || (await child.stderr.text());
}

describe("the way out", () => {
  test("addresses, TCP and IPv6 in Podman's own configuration", async () => {
    const script = `ip -4 address show tap0; cat /sys/class/net/tap0/mtu
nc ${OUTSIDE_ADDRESS} 7000 </dev/null; echo; nc 2001:db8::2 7000 </dev/null`;
    const printed = await inside("enable_ipv6=true", script);
    expect(printed).toContain("inet 10.0.2.100/24");
    expect(printed).toContain("65520\n");
    expect(printed).toContain(`outside ${HOST_ADDRESS}\n`);
    expect(printed).toContain("outside 2001:db8::1");
  });

  test("names, by the host's resolver", async () => {
    const printed = await inside("", "cat /etc/resolv.conf; nslookup www.example 10.0.2.3");
    expect(printed).toContain("nameserver 10.0.2.3");
    expect(printed).toContain(OUTSIDE_ADDRESS);
  });

  test("ping", async () => {
    const script = `ping -c 2 -W 5 ${OUTSIDE_ADDRESS}; ping6 -c 1 -W 5 2001:db8::2`;
    const printed = await inside("enable_ipv6=true", script, "--cap-add=net_raw");
    expect(printed).toContain("2 packets transmitted, 2 packets received");
    expect(printed).toContain("1 packets transmitted, 1 packets received");
  });

  test("the host's loopback only where it is allowed", async () => {
    const server = "busybox httpd -f -p 127.0.0.1:7002 -h rootfs/www";
    const held = user.spawn(["sh", "-c", `exec ${server}`]);
    await until(
      async () => (await user.host.must("ss", "-Hlnt", "sport", "=", ":7002")) !== "",
      () => "nobody listens on the host's loopback",
    );
    const ask = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc 10.0.2.2 7002 2>&1 || echo none`;
    expect(await inside("allow_host_loopback=true", ask)).toContain("hello from the container\n");
    expect(await inside("allow_host_loopback=false", ask)).toContain("none\n");
    await user.host.must("pkill", "-xf", server);
    await held.exited;
  });

  test("another network, and one address of the host's", async () => {
    await user.host.must("ip", "address", "add", "192.168.77.3/24", "dev", "eth0");
    const script = `ip -4 address show tap0; nc ${OUTSIDE_ADDRESS} 7000 </dev/null`;
    const printed = await inside("cidr=10.9.0.0/24,outbound_addr=192.168.77.3", script);
    expect(printed).toContain("inet 10.9.0.100/24");
    expect(printed).toContain("outside 192.168.77.3");
  });
});

describe("the way in (port_handler=slirp4netns)", () => {
  const IN = "port_handler=slirp4netns";
  /** Runs a server and says so once the kernel knows of its port. */
  const server = (command: string, port: number) => {
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    return `${command} & until grep -q ':${hex} 0*:0000' /proc/net/tcp*; do sleep 0.05; done; echo listening; wait`;
  };
  const serve = server("httpd -f -vv -p 80 -h /www", 80);

  test("a published port: the page, the caller's address, podman port, and the end", async () => {
    await start("web", IN, serve, "-p", "8080:80");
    expect(await page(`http://${HOST_ADDRESS}:8080/`)).toBe("hello from the container\n");
    await until(
      async () => (await podman("logs", "web")).stderr.includes(OUTSIDE_ADDRESS),
      () => "the server does not tell its caller",
    );
    expect((await podman("port", "web")).stdout).toBe("80/tcp -> 0.0.0.0:8080\n");
    await remove("web");
    expect(await page(`http://${HOST_ADDRESS}:8080/`)).toContain("Couldn't connect");
    // Podman only closes its descriptor, and does not wait.
    await until(
      async () => (await user.run(["pgrep", "-x", "netd|slirp4netns"])).stdout === "",
      () => "a data plane is still there",
    );
  });

  test("Podman's own forwarder, which is its default, goes on working beside it", async () => {
    await start("web", "", serve, "-p", "8080:80");
    expect(await page(`http://${HOST_ADDRESS}:8080/`)).toBe("hello from the container\n");
    await remove("web");
  });

  test("a data plane that is killed does not cost the container its network", async () => {
    await start("web", IN, serve, "-p", "8080:80");
    await user.host.must("pkill", "-KILL", "-x", "netd");
    expect(await page(`http://${HOST_ADDRESS}:8080/`)).toBe("hello from the container\n");
    const { stdout } = await podman("exec", "web", "nc", OUTSIDE_ADDRESS, "7000");
    expect(stdout).toBe(`outside ${HOST_ADDRESS}`);
    await remove("web");
  });

  test("a port in use is Podman's error, with our reason", async () => {
    await start("web", IN, serve, "-p", "8080:80");
    const words = ["--rootfs", `${user.home}/rootfs`, "sh", "-c", serve];
    const second = await podman(
      "run",
      "--rm",
      OWN_GROUPS,
      `--network=slirp4netns:${IN}`,
      "-p",
      "8080:80",
      ...words,
    );
    expect(second.code).not.toBe(0);
    expect(second.stderr).toContain("can't listen on tcp 0.0.0.0:8080: address already in use");
    await remove("web");
  });

  test("the article: one container knocks at another's published port by telnet", async () => {
    await start(
      "db",
      IN,
      server("while :; do echo ready for queries | nc -l -p 5432; done", 5432),
      "-p",
      "5432:5432",
    );
    const knock = `(sleep 1; echo quit) | telnet ${HOST_ADDRESS} 5432 || true`;
    expect(await inside("", knock)).toContain("ready for queries");
    await remove("db");
  });
});
