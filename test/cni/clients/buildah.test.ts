/** buildah's RUN steps on our plugins alone. Their namespace is a descriptor of buildah's: `/proc/PID/fd/9`. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { TestHost } from "../../support/host.ts";
import { clientHost, script } from "./client-host.ts";

let host: TestHost;
let image: string;

/** The control groups of the shell of the test are not those of the host, so a path from their root is named (`--cgroup-parent`). */
const FLAGS = "--isolation oci --runtime /usr/sbin/runc";

beforeAll(async () => {
  const made = await clientHost();
  host = made.host;
  image = made.image;
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
});

const traces = () =>
  script(
    host,
    `ls /var/lib/cni/networks/podman /var/lib/cni/results | grep -E '^(10|podman-)' || true
    nft list ruleset | grep -E '10\\.88|id:' || true
    ip -o link show type veth | grep -v eth0@ || true`,
  );

test("buildah run has an address and a way out, and leaves nothing", async () => {
  const seen = await script(
    host,
    `c=$(buildah from -q --cgroup-parent /buildah docker-archive:${image})
    buildah run ${FLAGS} --cap-add CAP_NET_RAW $c sh -c 'ip -4 -o addr show eth0; ping -c 1 -W 5 192.168.77.1'
    buildah rm $c`,
  );
  expect(seen).toMatch(/eth0 +inet 10\.88\.0\.\d+\/16/);
  expect(seen).toContain("1 packets received");
  expect(await traces()).toBe("");
});

test("a RUN step of a Containerfile too, also one that fails", async () => {
  await script(host, `podman load -q -i ${image}`);
  const build = (step: string) =>
    host.run(
      ["sh", "-c", `buildah bud --pull-never --cgroup-parent /buildah ${FLAGS} -f - /var/empty || exit 1`],
      { stdin: `FROM docker.io/library/busybox:latest\nRUN ${step}\n` },
    );
  await host.must("mkdir", "-p", "/var/empty");
  const good = await build("ip route");
  expect(good.stdout).toContain("default via 10.88.0.1 dev eth0");
  expect(good.code).toBe(0);
  expect((await build("exit 3")).code).not.toBe(0);
  expect(await traces()).toBe("");
});
