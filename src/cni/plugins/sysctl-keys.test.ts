import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { checkAllowed, duplicateSysctl, sysctlPath } from "./sysctl-keys.ts";

test("a key is a file below /proc/sys/net, with dots or slashes, and the interface in the place of IFNAME", () => {
  for (const [key, path] of [
    ["net.ipv4.conf.IFNAME.arp_notify", "net/ipv4/conf/eth0/arp_notify"],
    ["net/ipv4/conf/IFNAME/arp_notify", "net/ipv4/conf/eth0/arp_notify"],
    ["net.ipv4.conf.eth0/100.arp_filter", "net/ipv4/conf/eth0.100/arp_filter"],
    ["net/ipv4/conf/eth0.100/arp_filter", "net/ipv4/conf/eth0.100/arp_filter"],
    ["net.core.somaxconn", "net/core/somaxconn"],
  ] as const)
    expect(sysctlPath(key, "eth0")).toBe(`/proc/sys/${path}`);
  expect(sysctlPath("net.ipv4.conf.IFNAME.arp_notify", "eth0.7")).toBe(
    "/proc/sys/net/ipv4/conf/eth0.7/arp_notify",
  );
});

test("no key leads out of /proc/sys/net", () => {
  for (const key of [
    "",
    "net",
    "kernel.core_pattern",
    "/net/x",
    "net/../kernel/core_pattern",
    "net//x",
    "net/./x",
  ])
    expect(() => sysctlPath(key, "eth0")).toThrow(`invalid net sysctl key: ${JSON.stringify(key)}`);
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z./]{0,20}$/), fc.constantFrom("eth0", ".x", "a.b"), (key, ifName) => {
      try {
        expect(sysctlPath(key, ifName).split("/")).not.toContain("..");
      } catch (error) {
        expect((error as Error).message).toContain("invalid net sysctl key");
      }
    }),
  );
});

test("a sysctl that is given twice is found in the text, wherever the object stands, and nothing else is", () => {
  const twice = '{"sysctl":{"net.a":"1","net.b":"{\\"net.a\\":","net.\\u0061":"2"}}';
  expect(duplicateSysctl(twice)).toBe("net.a");
  expect(duplicateSysctl(`{"plugins":[{"mtu":1},${twice}]}`)).toBe("net.a");
  expect(
    duplicateSysctl(`{"a":1,"a":2,"plugins":[{"sysctl":{"x":"1"}},{"sysctl":{"x":"1"}}]}`),
  ).toBeUndefined();
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), value => {
      expect(duplicateSysctl(JSON.stringify({ sysctl: value, more: [value] }))).toBeUndefined();
    }),
  );
});

test("where the machine has a list, only what it names is allowed", () => {
  const directory = mkdtempSync(join(tmpdir(), "portolan-allow-"));
  try {
    const file = join(directory, "allowlist.conf");
    checkAllowed(["net.core.somaxconn"], file);
    writeFileSync(file, "^net\\.core\\.somaxconn$\n\n^net.ipv4.conf.IFNAME.[a-z_]*$\n");
    checkAllowed(["net.core.somaxconn", "net.ipv4.conf.IFNAME.arp_filter"], file);
    expect(() => checkAllowed(["net.core.optmem_max"], file)).toThrow(
      "Sysctl net.core.optmem_max is not allowed. Only the following sysctls are allowed: " +
        "[^net\\.core\\.somaxconn$ ^net.ipv4.conf.IFNAME.[a-z_]*$]",
    );
    writeFileSync(file, "");
    expect(() => checkAllowed(["net.core.somaxconn"], file)).toThrow("is not allowed");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
