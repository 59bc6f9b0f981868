/** An ordinary user's podman on our network code, inside the network namespace that podman has for that. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createUser } from "../slirp4netns/ordinary-user.ts";
import { until } from "../support/await.ts";
import { PORTOLAN } from "../support/host.ts";
import type { TestUser } from "../support/user.ts";
import { HELPERS } from "./world.ts";

const CONTAINERS_CONF = `[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
helper_binaries_dir = ["${HELPERS}", "/usr/lib/podman"]
[network]
network_backend = "netavark"
`;
const PREPARE = `set -e
mkdir -p .config/containers rootfs/bin rootfs/etc rootfs/proc rootfs/sys rootfs/dev rootfs/tmp rootfs/www
cat >.config/containers/containers.conf
cp /bin/busybox rootfs/bin/
for tool in sh httpd wget ip; do ln -s busybox rootfs/bin/$tool; done
echo hello >rootfs/www/index.html`;

let user: TestUser;
beforeAll(async () => {
  user = await createUser();
  await user.host.must("mkdir", "-p", HELPERS);
  for (const name of ["netavark", "aardvark-dns"])
    await user.host.must("ln", "-s", PORTOLAN, `${HELPERS}/${name}`);
  const { code, stderr } = await user.run(["sh", "-c", PREPARE], { stdin: CONTAINERS_CONF });
  if (code !== 0) throw new Error(`the container can't be prepared: ${stderr}`);
});
afterAll(() => user.host[Symbol.asyncDispose]());

async function podman(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await user.run(["timeout", "40", "podman", "--log-level=error", ...words]);
  if (code !== 0) throw new Error(`podman ${words.join(" ")}: exit ${code}: ${stderr}`);
  return stdout.trimEnd();
}

test("bridges, names and published ports without root", async () => {
  // The host shows only a part of the control groups, and not where the processes are.
  const run = ["run", "--cgroupns=private", "--network", "own"];
  await podman("network", "create", "--subnet", "10.98.0.0/24", "own");
  const served = ["--rootfs", `${user.home}/rootfs`, "httpd", "-f", "-p", "80", "-h", "/www"];
  await podman(...run, "-d", "--name", "web", "-p", "8080:80", ...served);
  await until(
    async () =>
      (await user.run(["curl", "-s", "--max-time", "5", "http://127.0.0.1:8080/"])).stdout === "hello\n",
    () => "the published port does not answer",
  );
  const asked = ["--rm", "--rootfs", `${user.home}/rootfs`, "sh", "-c", "wget -qO- http://web/; ip route"];
  expect(await podman(...run, ...asked)).toMatch(/^hello\ndefault via 10\.98\.0\.1 dev eth0 +metric 100/);
  await podman("rm", "-f", "-t", "0", "web");
  await podman("network", "rm", "own");
  await until(
    async () => (await user.host.run(["pgrep", "-f", "__netd"])).code === 1,
    () => "the network service does not end",
  );
});
