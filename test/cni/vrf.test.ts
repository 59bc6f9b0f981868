/** vrf behind a bridge, where the kernel has VRFs; where it has none, that is what is said, and nothing is left. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { knowsKind } from "../../src/netlink/new-link.ts";
import { NetlinkSocket } from "../../src/netlink/socket.ts";
import { World } from "./world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.dispose]());

const list = (conf: object) =>
  world.list("net", { plugins: [JSON.parse(world.list()).plugins[0], { type: "vrf", ...conf }] });

function kernelHasVrf(): boolean {
  return world.host.run(() => {
    using nl = new NetlinkSocket();
    return knowsKind(nl, "vrf");
  });
}

test("an interface is put into a VRF that goes with it, or the missing module is named", () => {
  const place = world.container();
  const attachment = world.attachment("abc", place.path);
  const conf = list({ vrfname: "red" });
  if (kernelHasVrf()) {
    world.step({ do: "status", list: conf });
    world.step({ do: "add", list: conf, attachment });
    expect(place.sh("ip", "link", "show", "master", "red")).toContain("eth0");
    expect(place.sh("ip", "route", "show", "vrf", "red")).toContain("default via 10.77.0.1 dev eth0");
    world.step({ do: "check", list: conf, attachment });
    world.step({ do: "del", list: conf, attachment });
  } else {
    const why = "the kernel has no links of kind vrf (module vrf)";
    expect(world.steps({ do: "status", list: conf })[0]).toMatchObject({
      error: expect.stringContaining(why),
      code: 50,
    });
    expect(world.steps({ do: "add", list: conf, attachment })[0]).toMatchObject({
      error: `could not add VRF red: ${why}`,
      code: 999,
    });
    expect(world.steps({ do: "check", list: conf, attachment })[0]!.error).toBeDefined();
  }
  expect(place.sh("ip", "-o", "link").trim().split("\n")).toHaveLength(1);
  expect(world.files("networks/net").filter(one => one.startsWith("10."))).toEqual([]);
});

test("refused in Go's words; DEL is quiet where the VRF or the namespace is not there", () => {
  const place = world.container();
  const attachment = world.attachment("abc", place.path);
  for (const [conf, says] of [
    [list({}), "configuration is expected to have a valid vrf name"],
    [list({ vrfname: "eth0" }), "Netlink eth0 is not a VRF"],
    [
      world.list("net", { plugins: [{ type: "vrf", vrfname: "red" }] }),
      "missing prevResult from earlier plugin",
    ],
  ] as const)
    expect(world.steps({ do: "add", list: conf, attachment })[0]!.error).toBe(says);
  for (const netns of [place.path, "", "/run/netns/gone"])
    world.step({ do: "del", list: list({ vrfname: "red" }), attachment: { ...attachment, netns } });
});
