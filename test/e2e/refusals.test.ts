/** What can't be done is told in one line, with Podman's exit code, and leaves nothing behind. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildImage } from "../../scripts/images/build.ts";
import { TestHost } from "../support/host.ts";
import { difference, type Snapshot, snapshot } from "../support/leaks.ts";
import { loadImages, openHost, openRegistry, openUser } from "./world.ts";

/** A network with one address to give. */
const TINY = {
  cniVersion: "0.4.0",
  name: "tiny",
  plugins: [
    {
      type: "bridge",
      bridge: "tiny0",
      isGateway: true,
      ipam: { type: "host-local", subnet: "10.99.0.0/30" },
    },
  ],
};

let host: TestHost;
let before: Snapshot;
beforeAll(async () => {
  host = await openHost("busybox");
  await host.write("/etc/cni/net.d/50-tiny.conflist", JSON.stringify(TINY));
  const forever = ["busybox", "sleep", "1000"];
  const taken = ["--name", "taken", "-p", "8080:80", "--ip", "10.88.0.100"];
  await host.must("portolan", "run", "-d", ...taken, ...forever);
  await host.must("portolan", "run", "-d", "--network", "tiny", ...forever);
  before = await snapshot(host);
}, 60_000);
afterAll(() => host[Symbol.asyncDispose]());

/** Command, exit code, what it says. */
const REFUSALS: [string, number, RegExp][] = [
  ["manifest inspect x", 125, /`portolan manifest` is Podman.s and not there yet/],
  ["load -i /etc/passwd", 125, /any of the supported image formats: \/etc\/passwd is no tar archive/],
  ["generate systemd taken", 125, /`portolan generate systemd` is Podman.s and not there yet/],
  ["system connection list", 125, /`portolan system connection` is Podman.s and not there yet/],
  ["system service", 125, /`portolan system service` is Podman.s and not there yet/],
  ["volume export v", 125, /`portolan volume export` is Podman.s and not there yet/],
  ["image trust show", 125, /`portolan image trust` is Podman.s and not there yet/],
  ["unmount taken", 125, /`portolan unmount` is Podman.s and not there yet/],
  ["run --cpu-quota 5 busybox", 125, /the flag --cpu-quota is Podman.s and not there yet/],
  ["rmm", 125, /did you mean `rm` or /],
  ["frobnicate", 125, /unrecognized command `portolan frobnicate`/],
  ["run --rm --frobnicate busybox", 125, /unknown flag: --frobnicate/],
  ["run --rm", 125, /requires at least 1 arg/],
  ["run --rm localhost:1/none", 125, /localhost:1\/none/],
  ["run --rm --pull never none", 125, /none: image not known/],
  ["run --rm --name taken busybox", 125, /the container name "taken" is already in use by [0-9a-f]{64}/],
  ["run --rm -p 8080:80 busybox", 126, /cannot listen on the TCP port: .*:8080: .*address already in use/],
  ["run --rm -p 127.0.0.1:8080:80 busybox", 126, /address already in use/],
  ["run --rm -p 99999:80 busybox", 125, /port numbers must be between 1 and 65535/],
  ["run --rm -p 80:80/icmp busybox", 125, /unrecognized protocol "icmp"/],
  ["run --rm --ip nonsense busybox", 125, /"nonsense" is not an ip address/],
  ["run --rm --ip 10.77.0.1 busybox", 126, /10\.77\.0\.1/],
  ["run --rm --ip 10.88.0.100 busybox", 126, /10\.88\.0\.100 is not available/],
  ["run --rm --ip 10.88.0.1 busybox", 126, /10\.88\.0\.1 is subnet's gateway/],
  ["run --rm --network tiny busybox", 126, /no IP addresses available/],
  ["run --rm --network podman:ip=nonsense busybox", 125, /invalid ip address "nonsense"/],
  ["run --rm --network podman:colour=red busybox", 125, /unknown bridge network option: colour/],
  ["run --rm --network nope busybox", 125, /unable to find network with name or ID nope: network not found/],
  ["run --rm --network container:nope busybox", 125, /no container with name or ID "nope" found/],
  ["run --rm --mac-address nonsense busybox", 125, /invalid MAC address/],
  ["run --rm -v /nope:/x busybox", 125, /\/nope: no such file or directory/],
  ["run --rm --user nobodyknows busybox", 126, /nobodyknows/],
  ["run --rm --memory lots busybox", 125, /invalid size: 'lots'/],
  ["run --rm --device /nope busybox", 125, /\/nope: no such file or directory/],
  ["run --rm busybox /nope", 127, /"\/nope".*no such file or directory/],
  ["run --rm busybox /etc", 126, /permission denied/],
  ["run -d --rm busybox /nope", 127, /"\/nope".*no such file or directory/],
  ["--runtime /nope run --rm busybox", 125, /OCI runtime "\/nope" not found/],
  ["start nope", 125, /no container with name or ID "nope" found/],
  ["exec nope true", 125, /no container with name or ID "nope" found/],
  ["rm nope", 1, /no container with name or ID "nope" found/],
  ["rm taken", 2, /running/],
  ["rmi nope", 1, /nope: image not known/],
  ["rmi busybox", 2, /image used by [0-9a-f]+/],
  ["save -o /nope/x.tar busybox", 125, /^Error: open \/nope\/x\.tar: no such file or directory$/m],
  ["save -o /tmp busybox", 125, /^Error: open \/tmp: is a directory$/m],
  ["load -i /nope", 125, /\/nope: no such file or directory/],
  ["load -i /tmp", 125, /\/tmp is a directory/],
  ["network inspect nope", 125, /nope: network not found/],
  ["inspect -f {{.Nope taken", 125, /template/],
];

for (const [command, code, message] of REFUSALS)
  test(`portolan ${command}`, async () => {
    const { code: got, stdout, stderr } = await host.run(["portolan", ...command.split(" ")]);
    expect(stderr).toMatch(message);
    expect(got).toBe(code);
    // As with Podman, a pull says what it tries, and an unknown flag where to read on.
    expect(stderr.replace(/^(Trying to pull|See ').*\n/m, "")).toMatch(/^Error: [^\n]+\n$/);
    expect(stdout.replace(/^\[\]\n$/, "")).toBe("");
    expect(difference(before, await snapshot(host))).toEqual([]);
  });

test("system reset, with nobody there to answer, resets nothing", async () => {
  const { code, stderr } = await host.run(["portolan", "system", "reset"]);
  expect({ code, stderr }).toEqual({
    code: 125,
    stderr: "Error: EOF (nobody answered; --force asks nobody)\n",
  });
  expect(difference(before, await snapshot(host))).toEqual([]);
});

test("save writes to a device, and does not take its place", async () => {
  await host.must("mknod", "/tmp/null", "c", "1", "3");
  await host.must("portolan", "save", "-o", "/tmp/null", "busybox");
  expect(await host.must("stat", "-c", "%F", "/tmp/null")).toBe("character special file");
  await host.must("rm", "/tmp/null");
});

test("--network NAME:ip=…,mac=… gives the container that address", async () => {
  const network = ["--network", "podman:ip=10.88.0.77,mac=92:d0:c6:0a:29:33"];
  const shown = await host.must(
    "portolan",
    "run",
    "--rm",
    ...network,
    "busybox",
    "ip",
    "address",
    "show",
    "eth0",
  );
  expect(shown).toContain("inet 10.88.0.77/16");
  expect(shown).toContain("link/ether 92:d0:c6:0a:29:33");
});

test("a umask of 077 does not reach the container's files", async () => {
  const look =
    "umask 077; portolan run --rm -v masked:/v busybox stat -c %a /v /etc/hosts; portolan volume rm masked";
  expect(await host.must("sh", "-c", look)).toBe("755\n644\nmasked");
});

test("help, -h and help VERB give the pages of --help", async () => {
  const pages = await host.must("portolan", "--help");
  expect(await host.must("portolan", "help")).toBe(pages);
  expect(await host.must("portolan", "-h")).toBe(pages);
  expect(await host.must("portolan", "help", "run")).toBe(await host.must("portolan", "run", "--help"));
});

test("a port that another program has", async () => {
  // It ends when somebody calls.
  const listen = `Bun.listen({ hostname: "0.0.0.0", port: 8081, socket: { open: () => process.exit(), data() {} } });
    console.log("listening")`;
  const holder = host.spawn([process.execPath, "-e", listen]);
  await holder.stdout.getReader().read();
  const { code, stderr } = await host.run(["portolan", "run", "--rm", "-p", "8081:80", "busybox"]);
  await host.run(["curl", "-s", "http://localhost:8081"]);
  await holder.exited;
  expect(code).toBe(126);
  expect(stderr).toMatch(/^Error: cannot listen on the TCP port: [^\n]+address already in use\n$/);
  expect(difference(before, await snapshot(host))).toEqual([]);
});

test("without --rm, what did not start stays as created, holding nothing; rm removes it", async () => {
  const { code } = await host.run(["portolan", "run", "-d", "--name", "late", "-p", "8080:80", "busybox"]);
  expect(code).toBe(126);
  expect(await host.must("portolan", "inspect", "-f", "{{.State.Status}}", "late")).toBe("created");
  const held = difference(before, await snapshot(host)).filter(
    line => !/containers\/[0-9a-f]{64}/.test(line),
  );
  expect(held).toEqual([]);
  await host.must("portolan", "rm", "late");
  expect(difference(before, await snapshot(host))).toEqual([]);
});

test("a broken conflist is warned of and left out; the other networks work", async () => {
  await host.write("/etc/cni/net.d/60-broken.conflist", "{ not json");
  const run = await host.run(["portolan", "run", "--rm", "busybox", "true"]);
  const named = await host.run(["portolan", "run", "--rm", "--network", "broken", "busybox", "true"]);
  await host.must("rm", "/etc/cni/net.d/60-broken.conflist");
  expect(run.code).toBe(0);
  expect(run.stderr).toMatch(/level=warning msg="[^\n]*60-broken\.conflist[^\n]*\n$/);
  expect(named.code).toBe(125);
  expect(named.stderr).toMatch(/\nError: [^\n]*broken: network not found\n$/);
  expect(difference(before, await snapshot(host))).toEqual([]);
});

test("a network whose subnet is none is refused by name, and holds nothing", async () => {
  for (const subnet of ["10.98.0.0/99", "10.98.0.0", "nonsense"]) {
    const ipam = { type: "host-local", subnet };
    const list = { cniVersion: "0.4.0", name: "odd", plugins: [{ type: "bridge", bridge: "odd0", ipam }] };
    await host.write("/etc/cni/net.d/70-odd.conflist", JSON.stringify(list));
    const { code, stderr } = await host.run([
      "portolan",
      "run",
      "--rm",
      "--network",
      "odd",
      "busybox",
      "true",
    ]);
    await host.must("rm", "/etc/cni/net.d/70-odd.conflist");
    expect(stderr).toMatch(/^Error: [^\n]+\n$/);
    expect(stderr).toContain(subnet);
    expect(code).toBe(126);
    expect(difference(before, await snapshot(host))).toEqual([]);
  }
});

test("an ordinary user without a home or a runtime directory of his own is told so", async () => {
  const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  for (const words of [["ps"], ["run", "busybox"]])
    for (const [variable, complaint] of [
      ["HOME=/root", /^Error: [^\n]*\/root\/[^\n]*permission denied[^\n]*\n$/],
      [
        "XDG_RUNTIME_DIR=/root",
        /^Error: XDG_RUNTIME_DIR directory "\/root" is not owned by the current user[^\n]*\n$/,
      ],
      ["XDG_RUNTIME_DIR=/nope", /^Error: XDG_RUNTIME_DIR directory "\/nope" is not there[^\n]*\n$/],
    ] as const) {
      const { code, stderr } = await host.run([...user, "env", variable, "portolan", ...words]);
      expect(stderr.split("\n").slice(-2).join("\n")).toMatch(complaint);
      expect(code).toBe(125);
    }
});

test("a full disk is told in one line, and what came is removed", async () => {
  await using small = await TestHost.create();
  await small.must("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", "/var/lib/portolan");
  await small.must("portolan", "load", "-q", "-i", await buildImage("busybox"));
  const clean = await snapshot(small);
  const { code, stderr } = await small.run(["portolan", "load", "-i", await buildImage("nginx")]);
  expect(code).toBe(125);
  expect(stderr).toMatch(/^Error: [^\n]*no space left on device[^\n]*\n$/i);
  expect(difference(clean, await snapshot(small))).toEqual([]);
  expect(await small.must("portolan", "run", "--rm", "busybox", "echo", "still works")).toBe("still works");
}, 60_000);

test("a disk that fills in a pull: one line, and what came is removed", async () => {
  await using registry = await openRegistry("nginx");
  await using small = await TestHost.create();
  await small.must("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", "/var/lib/portolan");
  await small.useRegistry(registry, ["docker.io"]);
  await small.must("portolan", "load", "-q", "-i", await buildImage("busybox"));
  await small.must("portolan", "run", "--rm", "--network", "none", "busybox", "true");
  const clean = await snapshot(small);
  const { code, stderr } = await small.run(["portolan", "run", "--rm", "nginx", "true"]);
  expect(code).toBe(125);
  expect(stderr).toMatch(/\nError: [^\n]*no space left on device[^\n]*\n$/i);
  expect(stderr.match(/^Error/gm)?.length).toBe(1);
  expect(difference(clean, await snapshot(small))).toEqual([]);
}, 60_000);

test("a start that is refused while its namespace is being made leaves neither that nor anything in the working directory", async () => {
  await using user = await openUser("busybox");
  const command = "portolan run --rm --network none -u nobody:nogroupofthatname busybox true";
  for (const caller of [user.host, user]) {
    if (caller === user.host) await loadImages(caller, "busybox");
    // The first run of an engine makes directories that stay.
    await caller.must("portolan", "run", "--rm", "--network", "none", "busybox", "true");
    const before = await snapshot(user.host);
    const script = `mkdir -m 777 /tmp/here && cd /tmp/here && ${command}; code=$?; cd / && rmdir /tmp/here && exit $code`;
    const { code, stderr } = await caller.run(["sh", "-c", script]);
    expect({ code, stderr }).toEqual({
      code: 126,
      stderr: "Error: unable to find group nogroupofthatname: no matching entries in group file\n",
    });
    expect(difference(before, await snapshot(user.host))).toEqual([]);
  }
});
