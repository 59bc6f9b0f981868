/** An ordinary user's podman, 4.3 and 5.4, on our network code, inside the network namespace that podman has for that. */
import { expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { debian13 } from "../support/debian13.ts";
import { PORTOLAN, TestHost } from "../support/host.ts";
import { TestUser } from "../support/user.ts";
import { HELPERS } from "./world.ts";

const CONTAINERS_CONF = `[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
helper_binaries_dir = ["${HELPERS}", "/usr/libexec/podman", "/usr/lib/podman"]
[network]
network_backend = "netavark"
`;
const PREPARE = `set -e
mkdir -p .config/containers rootfs/bin rootfs/etc rootfs/proc rootfs/sys rootfs/dev rootfs/tmp rootfs/www
cat >.config/containers/containers.conf
cp /bin/busybox rootfs/bin/
for tool in sh httpd wget ip; do ln -s busybox rootfs/bin/$tool; done
echo hello >rootfs/www/index.html`;

/** A user of a machine with Debian's podman of that version. */
async function openUser(version: string): Promise<TestUser> {
  const host = await TestHost.create(version === "5.4" ? { root: debian13() } : {});
  try {
    const user = await TestUser.add(host);
    await host.must("mkdir", "-p", HELPERS);
    for (const name of ["netavark", "aardvark-dns"])
      await host.must("ln", "-s", PORTOLAN, `${HELPERS}/${name}`);
    const { code, stderr } = await user.run(["sh", "-c", PREPARE], { stdin: CONTAINERS_CONF });
    if (code !== 0) throw new Error(`the container can't be prepared: ${stderr}`);
    return user;
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

async function podman(user: TestUser, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await user.run(["timeout", "90", "podman", "--log-level=error", ...words]);
  if (code !== 0) throw new Error(`podman ${words.join(" ")}: exit ${code}: ${stderr}`);
  return stdout.trimEnd();
}

test.each(["4.3", "5.4"])(
  "bridges, names and published ports without root, podman %s",
  async version => {
    const user = await openUser(version);
    await using _host = user.host;
    // The host shows only a part of the control groups, and not where the processes are.
    const run = ["run", "--cgroupns=private", "--network", "own"];
    await podman(user, "network", "create", "--subnet", "10.98.0.0/24", "own");
    const served = ["--rootfs", `${user.home}/rootfs`, "httpd", "-f", "-p", "80", "-h", "/www"];
    await podman(user, ...run, "-d", "--name", "web", "-p", "8080:80", ...served);
    await until(
      async () =>
        (await user.run(["curl", "-s", "--max-time", "5", "http://127.0.0.1:8080/"])).stdout === "hello\n",
      () => "the published port does not answer",
    );
    const asked = ["--rm", "--rootfs", `${user.home}/rootfs`, "sh", "-c", "wget -qO- http://web/; ip route"];
    expect(await podman(user, ...run, ...asked)).toMatch(
      /^hello\ndefault via 10\.98\.0\.1 dev eth0 +metric 100/,
    );
    await podman(user, "rm", "-f", "-t", "0", "web");
    await podman(user, "network", "rm", "own");
    await until(
      async () => (await user.host.run(["pgrep", "-f", "__netd"])).code === 1,
      () => "the network service does not end",
    );
  },
  600_000,
);
