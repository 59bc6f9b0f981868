/** What options and containers.conf make of a container, as a command in it sees it. Needs root and /bin/busybox. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { awaitExit } from "../../src/container/cleanup.ts";
import { createContainer } from "../../src/container/create.ts";
import type { CreateOptions } from "../../src/container/create-options.ts";
import { Engine } from "../../src/container/engine.ts";
import { execInContainer } from "../../src/container/exec.ts";
import { inspectContainer } from "../../src/container/inspect.ts";
import { readLogs } from "../../src/container/logs.ts";
import { removeContainer } from "../../src/container/remove.ts";
import { ownHardLimit } from "../../src/container/ulimits.ts";
import { ContainerWorld, IMAGE } from "./world.ts";

let world: ContainerWorld;

beforeAll(async () => {
  world = await ContainerWorld.open();
});
afterAll(() => world[Symbol.asyncDispose]());

/** What the command prints, until it ends. */
async function output(command: string[], options: Partial<CreateOptions> = {}, own = world): Promise<string> {
  const container = await own.run(command, options);
  await awaitExit(own.engine, container);
  let text = "";
  for await (const line of readLogs(own.engine, container)) text += line.text + (line.partial ? "" : "\n");
  await removeContainer(own.engine, container.config.id, { force: true, volumes: true });
  return text;
}

/** An engine on the same state that reads its containers.conf from `text`. */
async function withConf(text: string, fn: (world: ContainerWorld) => Promise<void>): Promise<void> {
  const path = join(world.directory, "containers.conf");
  writeFileSync(path, text);
  const before = process.env.CONTAINERS_CONF;
  process.env.CONTAINERS_CONF = path;
  try {
    await using own = await ContainerWorld.open();
    await fn(own);
  } finally {
    if (before === undefined) delete process.env.CONTAINERS_CONF;
    else process.env.CONTAINERS_CONF = before;
  }
}

test("containers.conf says what nobody said; a flag says it better", async () => {
  await withConf(
    `
[containers]
default_capabilities = ["CHOWN", "NET_RAW"]
default_ulimits = ["nofile=100:200"]
default_sysctls = ["net.ipv4.ip_unprivileged_port_start=80"]
dns_servers = ["192.0.2.1"]
env = ["A=conf", "B=conf"]
pids_limit = 77
shm_size = "1m"
umask = "0027"
tz = "UTC"
log_size_max = 4096
`,
    async own => {
      const script =
        "ulimit -n; ulimit -Hn; umask; echo $A$B; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; df -k /dev/shm | tail -1; grep CapBnd /proc/1/status";
      const text = await output(["sh", "-c", script], { env: ["B=flag"] }, own);
      expect(text).toMatch(/^100\n200\n0027\nconfflag\n80\nshm +1024 .*\nCapBnd:\t0{12}2001\n$/);
      expect((await own.create(["true"])).config.dns).toEqual(["192.0.2.1"]);
      const { config } = await own.create(["true"], {
        network: ["host"],
        dns: ["192.0.2.9"],
        pidsLimit: 5,
        capAdd: ["KILL"],
      });
      expect(config).toMatchObject({
        dns: ["192.0.2.9"],
        limits: { pidsLimit: 5 },
        capabilities: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        logMaxSize: 4096,
        timezone: "UTC",
      });
    },
  );
});

test("containers.conf chooses runtime and network, and is refused where it is wrong", async () => {
  await withConf(
    '[engine]\nruntime = "mine"\n[engine.runtimes]\nmine = ["/nowhere", "/usr/bin/runc"]\n[network]\ndefault_network = "own"\ndefault_subnet = "10.213.0.0/24"\n',
    async own => {
      const { config, state } = await own.run(["sleep", "1000"]);
      expect(state.runtime).toBe("/usr/bin/runc");
      expect(config.network).toEqual({ kind: "none" });
      const other = await own.create(["true"], { network: undefined });
      expect(other.config.network).toMatchObject({ kind: "bridge", networks: [{ network: "own" }] });
      expect(own.engine.networks.inspect("own").subnets).toEqual([
        { subnet: "10.213.0.0/24", gateway: "10.213.0.1" },
      ]);
    },
  );
  await expect(
    withConf('[containers]\npids_limit = "x"', own => own.create(["true"]).then(() => {})),
  ).rejects.toThrow(
    /^decoding configuration .*containers\.conf: containers\.pids_limit must be a whole number$/,
  );
});

test("limits that can't be given are refused before anything is made", async () => {
  const most = ownHardLimit("nofile");
  const before = world.engine.containers.list().length;
  await expect(
    world.create(["true"], { ulimits: [{ name: "nofile", soft: 1, hard: most + 1 }] }),
  ).rejects.toThrow(`ulimit nofile: a hard limit of ${most + 1} is above ${most}`);
  expect(world.engine.containers.list()).toHaveLength(before);
});

test("an unlimited limit reaches the container and commands in it", async () => {
  // One that everybody may give: sudo takes the hard limit of core files away.
  const container = await world.run(["sleep", "1000"], { ulimits: [{ name: "stack", soft: -1, hard: -1 }] });
  expect(readFileSync(`/proc/${container.state.pid}/limits`, "utf8")).toMatch(
    /stack size +unlimited +unlimited/,
  );
  let text = "";
  await execInContainer(world.engine, container, {
    command: ["sh", "-c", "ulimit -Hs"],
    output: data => {
      text += Buffer.from(data).toString();
    },
  });
  expect(text).toBe("unlimited\n");
});

test("a time zone, a umask, an init and a sysctl", async () => {
  const script = "date +%Z; umask; readlink /proc/1/exe; cat /proc/sys/kernel/msgmax";
  const text = await output(["sh", "-c", script], {
    timezone: "Europe/Berlin",
    umask: "77",
    init: true,
    sysctl: ["kernel.msgmax=1234"],
  });
  expect(text).toMatch(/^CES?T\n0077\n.*podman-init\n1234\n$/);
  for (const [options, why] of [
    [{ timezone: "Nowhere/At_all" }, "stat /usr/share/zoneinfo/Nowhere/At_all: no such file or directory"],
    [{ timezone: "../../../etc/passwd" }, "no such file or directory"],
    [{ umask: "888" }, "invalid umask string 888"],
    [{ sysctl: ["vm.swappiness=1"] }, "sysctl 'vm.swappiness' is not allowed"],
    [
      { sysctl: ["net.ipv4.ip_forward=1"], network: ["host"] },
      "sysctl net.ipv4.ip_forward=1 can't be set since Network Namespace set to host",
    ],
    [{ init: true, pidMode: "host" }, "cannot add init binary as PID 1"],
  ] as const)
    await expect(world.create(["true"], options as unknown as Partial<CreateOptions>)).rejects.toThrow(why);
});

test("namespaces are shared with the host and with other containers", async () => {
  const first = await world.run(["sleep", "1000"], { name: "first", hostname: "shared" });
  const id = first.config.id;
  const second = await world.run(["sleep", "1000"], {
    pidMode: "container:first",
    ipcMode: "container:first",
    utsMode: "container:first",
    network: ["container:first"],
  });
  const inode = (pid: number, name: string) => statSync(`/proc/${pid}/ns/${name}`).ino;
  for (const name of ["pid", "ipc", "uts", "net"])
    expect(inode(second.state.pid, name)).toBe(inode(first.state.pid, name));
  expect(second.config).toMatchObject({ pidMode: `container:${id}`, hostname: "shared" });
  await expect(removeContainer(world.engine, id, { force: true, time: 0 })).rejects.toThrow(
    `has dependent containers which must be removed before it: ${second.config.id}`,
  );
  await removeContainer(world.engine, second.config.id, { force: true, time: 0 });
  await removeContainer(world.engine, id, { force: true, time: 0 });

  const host = await world.run(["sleep", "1000"], { pidMode: "host", ipcMode: "host", utsMode: "host" });
  for (const name of ["pid", "ipc", "uts"])
    expect(inode(host.state.pid, name)).toBe(inode(process.pid, name));
  const apart = await world.run(["sleep", "1000"], {
    cgroupns: "private",
    ipcMode: `ns:/proc/${process.pid}/ns/ipc`,
  });
  expect(inode(apart.state.pid, "cgroup")).not.toBe(inode(process.pid, "cgroup"));
  expect(inode(apart.state.pid, "ipc")).toBe(inode(process.pid, "ipc"));
  for (const [options, why] of [
    [
      { pidMode: "container:nobody" },
      'looking up container to share pid namespace with: no container with name or ID "nobody"',
    ],
    [{ ipcMode: "foo" }, "unrecognized namespace mode foo passed"],
    [{ utsMode: "ns:/nope" }, "cannot find specified UTS namespace path: stat /nope"],
    [{ utsMode: "host", hostname: "x" }, "cannot set hostname when running in the host UTS namespace"],
  ] as const)
    await expect(world.create(["true"], options)).rejects.toThrow(why);
});

test("a device of the host can be used as far as it was allowed, another can't", async () => {
  // A major number for local use that no driver has: opening it says whether the control group let us.
  const script = "mknod /other c 60 2; for d in /mine /other; do cat $d 2>&1; done; stat -c %t:%T /mine";
  const node = join(world.directory, "device");
  Bun.spawnSync(["mknod", node, "c", "60", "1"]);
  const text = await output(["sh", "-c", script], { devices: [`${node}:/mine:r`], capAdd: ["MKNOD"] });
  expect(text).toBe(
    "cat: can't open '/mine': No such device or address\ncat: can't open '/other': Operation not permitted\n3c:1\n",
  );
  await expect(world.create(["true"], { devices: ["/etc"] })).rejects.toThrow("no devices found in /etc");
  await expect(world.create(["true"], { devices: ["/dev/not-there"] })).rejects.toThrow(
    "stat /dev/not-there",
  );
  await expect(world.create(["true"], { devices: ["/dev/null:/x:q"] })).rejects.toThrow(
    "invalid device mode",
  );
});

test("volume option U gives what is mounted to the container's user", async () => {
  const bind = join(world.directory, "given");
  mkdirSync(join(bind, "deep"), { recursive: true });
  writeFileSync(join(bind, "deep/file"), "");
  const text = await output(["sh", "-c", "stat -c %u:%g /b/deep/file /v /t"], {
    user: "user",
    volumes: [`${bind}:/b:U`, "given:/v:U"],
    tmpfs: ["/t:U"],
  });
  expect(text).toBe("1000:1000\n1000:1000\n1000:1000\n");
});

test("pull policies: newer falls back on what is here, always does not", async () => {
  const refuse = async () => {
    throw new Error("registry is away");
  };
  const create = (pull: CreateOptions["pull"], image = IMAGE) =>
    createContainer(world.engine, { image, command: ["true"], network: ["none"], pull }, { pull: refuse });
  expect((await create("newer")).config.imageName).toBe(IMAGE);
  await expect(create("always")).rejects.toThrow("registry is away");
  await expect(create("always", world.engine.images.get(IMAGE).id)).rejects.toThrow(
    "pull policy is always but image has been referred to by ID",
  );
  await expect(create("newer", "localhost/missing")).rejects.toThrow("registry is away");
  await expect(create("never", "localhost/missing")).rejects.toThrow("localhost/missing: image not known");
});

test("proxies of our environment reach the container unless told otherwise", async () => {
  process.env.http_proxy = "http://proxy.example:3128";
  try {
    const told = async (options: Partial<CreateOptions>) =>
      (await world.create(["true"], options)).config.env.find(one => one.startsWith("http_proxy="));
    expect(await told({})).toBe("http_proxy=http://proxy.example:3128");
    expect(await told({ httpProxy: false })).toBeUndefined();
    expect(await told({ env: ["http_proxy=own"] })).toBe("http_proxy=own");
  } finally {
    delete process.env.http_proxy;
  }
});

test("a detached command is told by inspect while it runs", async () => {
  const container = await world.run(["sleep", "1000"]);
  const ids = () => inspectContainer(world.engine, container).ExecIDs as string[];
  let pid = 0;
  const { id } = await execInContainer(world.engine, container, {
    command: ["sleep", "1000"],
    detach: true,
    started: one => {
      pid = one;
    },
  });
  expect(ids()).toEqual([id]);
  process.kill(pid, "SIGKILL");
  while (existsSync(join(world.engine.paths.execs(container.config.id), id))) await Bun.sleep(2);
  expect(ids()).toEqual([]);
});

test("an engine reads containers.conf only when it must", () => {
  const before = process.env.CONTAINERS_CONF;
  process.env.CONTAINERS_CONF = "/nowhere/containers.conf";
  try {
    const engine = Engine.open({
      root: join(world.directory, "other"),
      runRoot: join(world.directory, "other-run"),
    });
    expect(engine.containers.list()).toEqual([]);
    expect(() => engine.conf).toThrow(
      "CONTAINERS_CONF file: open /nowhere/containers.conf: no such file or directory",
    );
    engine.db.close();
  } finally {
    if (before === undefined) delete process.env.CONTAINERS_CONF;
    else process.env.CONTAINERS_CONF = before;
  }
});
