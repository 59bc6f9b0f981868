/** What containers.conf(5) says, seen in an ordinary user's containers. */
import { expect, test } from "bun:test";
import { openUser } from "./world.ts";

const CONF = ".config/containers/containers.conf";

test("the network of containers that name none, and read-only root file systems", async () => {
  await using user = await openUser("busybox");
  const inside = (command: string, ...flags: string[]) =>
    user.run(["portolan", "run", "--rm", ...flags, "busybox", "sh", "-c", command]);

  await user.write(
    CONF,
    '[network]\ndefault_rootless_network_cmd = "pasta"\n[containers]\nread_only = true\n',
  );
  // The host's own interface and address.
  expect((await inside("ip -4 -o addr show eth0")).stdout).toContain("192.168.77.2/24");
  expect((await inside("ip -4 -o addr show tap0", "--network", "slirp4netns")).stdout).toContain(
    "10.0.2.100",
  );
  expect((await inside("touch /etc/mine")).stderr).toContain("Read-only file system");
  expect((await inside("touch /etc/mine", "--read-only=false")).code).toBe(0);

  await user.write(CONF, '[network]\ndefault_rootless_network_cmd = "carrier-pigeon"\n');
  const refused = await inside("true");
  expect(refused.code).toBe(125);
  expect(refused.stderr).toStartWith('Error: invalid default_rootless_network_cmd option "carrier-pigeon"');
}, 60_000);
