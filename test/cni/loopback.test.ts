/** loopback: `lo` up and down, whatever the interface's name is said to be, beside Go's. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { TestNetns } from "../support/netns.ts";
import { World } from "./world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.dispose]());

const LIST = JSON.stringify({ cniVersion: "1.0.0", name: "lo", plugins: [{ type: "loopback" }] });
const isUp = (place: TestNetns) =>
  place.json<{ flags: string[] }[]>("ip", "-j", "link", "show", "lo")[0]!.flags.includes("UP");

test("ADD, CHECK and DEL, and the result, are as Go's", () => {
  using place = new TestNetns("container");
  const attachment = world.attachment("abc", place.path);
  const results = [[], ["loopback"]].map(foreign => {
    const options = { ...world.options, pluginPath: ["/usr/lib/cni"], foreign };
    expect(isUp(place)).toBe(false);
    const result = world.step({ do: "add", list: LIST, attachment, options });
    expect(isUp(place)).toBe(true);
    world.step({ do: "check", list: LIST, attachment, options });
    place.sh("ip", "link", "set", "lo", "down");
    expect(world.steps({ do: "check", list: LIST, attachment, options })[0]!.error).toContain(
      "loopback interface is down",
    );
    place.sh("ip", "link", "set", "lo", "up");
    world.step({ do: "del", list: LIST, attachment, options });
    expect(isUp(place)).toBe(false);
    world.step({ do: "del", list: LIST, attachment: { ...attachment, netns: "" }, options });
    world.step({ do: "del", list: LIST, attachment: { ...attachment, netns: "/run/netns/gone" }, options });
    return result;
  });
  expect(results[0]!.interfaces).toEqual([{ name: "lo", mac: "00:00:00:00:00:00", sandbox: place.path }]);
  expect(results[0]!.ips.map(one => one.address)).toEqual(["127.0.0.1/8", "::1/128"]);
  expect(results[0]).toEqual(results[1]!);
});

test("behind another plugin that one's result goes through as it is; an address that is no loopback's is refused", () => {
  const place = world.container();
  const attachment = world.attachment("abc", place.path);
  const plugins = JSON.parse(world.list()).plugins.slice(0, 1) as object[];
  const before = world.step({ do: "add", list: world.list("net", { plugins }), attachment })!;
  world.step({ do: "del", list: world.list("net", { plugins }), attachment });
  const chain = world.list("net", { plugins: [...plugins, { type: "loopback" }] });
  const after = world.step({ do: "add", list: chain, attachment })!;
  expect(after.interfaces.map(one => one.name)).toHaveLength(before.interfaces.length);
  expect(after.ips.map(one => one.interface)).toEqual(before.ips.map(one => one.interface));
  world.step({ do: "del", list: chain, attachment });
  place.sh("ip", "address", "add", "192.0.2.7/32", "dev", "lo");
  expect(world.steps({ do: "add", list: LIST, attachment })[0]!.error).toBe(
    'loopback interface found with non-loopback address "192.0.2.7"',
  );
});
