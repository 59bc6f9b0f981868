import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setLogLevel } from "../base/log.ts";
import { loadConfLists, loadNetworkConf } from "./load.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "portolan-load-"));
  setLogLevel("fatal");
});
afterEach(() => {
  setLogLevel("warn");
  rmSync(directory, { recursive: true, force: true });
});

const write = (name: string, data: unknown) =>
  writeFileSync(join(directory, name), typeof data === "string" ? data : JSON.stringify(data));
const listOf = (name: string, more: object = {}) => ({
  cniVersion: "1.0.0",
  name,
  plugins: [{ type: "bridge" }],
  ...more,
});
const single = (name: string, type = "bridge") => ({ cniVersion: "0.4.0", name, type });
const found = () => [...loadConfLists(directory)].map(([name, { path }]) => [name, path.split("/").at(-1)]);

test("conflists by name of file, then single configurations; bad ones, nameless ones and repeated names left out", () => {
  write("90-a.conflist", listOf("a"));
  write("20-b.conflist", listOf("b"));
  write("95-a.conflist", listOf("a", { disableGC: true }));
  write("40-bad.conflist", "{");
  write("10-c.conf", single("c"));
  write("05-d.json", single("d"));
  write("06-b.conf", single("b", "macvlan"));
  write("07.conf", { type: "bridge" });
  write("08.txt", single("e"));
  mkdirSync(join(directory, "09.conf"));
  expect(found()).toEqual([
    ["b", "20-b.conflist"],
    ["a", "90-a.conflist"],
    ["d", "05-d.json"],
    ["c", "10-c.conf"],
  ]);
  expect(loadConfLists(join(directory, "nowhere")).size).toBe(0);
});

test("a single configuration is a list of one, with all that it says", () => {
  write("10-c.conf", { ...single("c", "ptp"), ipMasq: true });
  const list = loadNetworkConf(directory, "c");
  expect([list.cniVersion, list.plugins]).toEqual(["0.4.0", [{ ...single("c", "ptp"), ipMasq: true }]]);
  expect(JSON.parse(list.source).plugins).toEqual(list.plugins);
});

test("plugins beside a list follow its own, unless it says that its own are all", () => {
  mkdirSync(join(directory, "net"));
  write("net/20-tuning.conf", { type: "tuning", mtu: 1400 });
  write("net/10-portmap.conf", { type: "portmap" });
  write("net/05.json", { type: "firewall" });
  const types = (more: object) => {
    write("net.conflist", listOf("net", more));
    return loadNetworkConf(directory, "net").plugins.map(one => one.type);
  };
  expect(types({})).toEqual(["bridge", "portmap", "tuning"]);
  expect(types({ plugins: undefined })).toEqual(["portmap", "tuning"]);
  for (const own of [true, "true"]) expect(types({ loadOnlyInlinedPlugins: own })).toEqual(["bridge"]);
  expect(() => types({ loadOnlyInlinedPlugins: true, plugins: undefined })).toThrow(
    "no net configuration with name",
  );
});

test("one network is found past a file that can't be read", () => {
  expect(() => loadNetworkConf(directory, "a")).toThrow(`no net configurations found in ${directory}`);
  write("20-a.conflist", listOf("a"));
  expect(loadNetworkConf(directory, "a").name).toBe("a");
  expect(() => loadNetworkConf(directory, "b")).toThrow('no net configuration with name "b"');
  write("10-bad.conflist", "{");
  write("30-new.conflist", { ...listOf("new"), cniVersion: "9.0.0" });
  expect(loadNetworkConf(directory, "a").name).toBe("a");
  expect(() => loadNetworkConf(directory, "c")).toThrow('no net configuration with name "c"');
});
