/** What every plugin refuses before it does anything: environment, names, versions, texts that are no configuration. */
import type { Call, Case } from "../case.ts";

export const TYPES = [
  ...["bridge", "ptp", "macvlan", "host-device", "loopback", "host-local", "static"],
  ...["portmap", "firewall", "tuning", "bandwidth", "sbr"],
  ...["tap", "dummy", "ipvlan", "vlan", "vrf"],
];

const calls = (type: string): Call[] => {
  const conf = (more: object) => ({ cniVersion: "1.0.0", name: "net", type, ...more });
  const env = (more: Record<string, string | null>): Call => ({ call: type, env: more });
  const stdin = (text: object | string, more: Record<string, string | null> = {}): Call => ({
    call: type,
    env: more,
    stdin: text,
  });
  return [
    // The line about itself, and its versions: whatever stands on its standard input.
    env({ CNI_COMMAND: null }),
    stdin("", { CNI_COMMAND: null }),
    env({ CNI_COMMAND: "" }),
    env({ CNI_COMMAND: "VERSION" }),
    stdin("", { CNI_COMMAND: "VERSION" }),
    stdin("{", { CNI_COMMAND: "VERSION" }),
    stdin({ cniVersion: "0.4.0" }, { CNI_COMMAND: "VERSION", CNI_CONTAINERID: null, CNI_NETNS: null }),
    // The environment.
    env({ CNI_COMMAND: "FROB" }),
    env({ CNI_COMMAND: "add" }),
    ...["ADD", "CHECK", "DEL"].flatMap(verb => [
      env({ CNI_COMMAND: verb, CNI_CONTAINERID: null }),
      env({ CNI_COMMAND: verb, CNI_IFNAME: null }),
      env({ CNI_COMMAND: verb, CNI_PATH: null }),
      env({ CNI_COMMAND: verb, CNI_CONTAINERID: "", CNI_IFNAME: "", CNI_PATH: "", CNI_NETNS: "" }),
      env({ CNI_COMMAND: verb, CNI_CONTAINERID: "a/b" }),
      env({ CNI_COMMAND: verb, CNI_CONTAINERID: "-a" }),
    ]),
    env({ CNI_NETNS: null }),
    env({ CNI_NETNS: "" }),
    env({ CNI_COMMAND: "CHECK", CNI_NETNS: null }),
    env({ CNI_IFNAME: "." }),
    env({ CNI_IFNAME: ".." }),
    env({ CNI_IFNAME: "a/b" }),
    env({ CNI_IFNAME: "a:b" }),
    env({ CNI_IFNAME: "a b" }),
    env({ CNI_IFNAME: "sixteen-letters-" }),
    // The configuration as every plugin reads it.
    stdin(""),
    stdin("{"),
    stdin("[]"),
    stdin('"text"'),
    stdin("null"),
    stdin("{}"),
    stdin({ cniVersion: "1.0.0", type }),
    stdin(conf({ name: "" })),
    stdin(conf({ name: "a/b" })),
    stdin(conf({ name: 7 })),
    stdin(conf({ cniVersion: "9.9.9" })),
    stdin(conf({ cniVersion: "1.0" })),
    stdin(conf({ cniVersion: "one" })),
    stdin(conf({ cniVersion: 1 })),
    stdin(conf({ cniVersion: "0.3.1" }), { CNI_COMMAND: "CHECK" }),
    stdin(conf({ cniVersion: "0.2.0" }), { CNI_COMMAND: "CHECK" }),
    stdin(conf({}), { CNI_COMMAND: "CHECK" }),
    // Verbs of version 1.1.
    ...["GC", "STATUS"].flatMap(verb => [
      stdin(conf({ cniVersion: "1.1.0" }), {
        CNI_COMMAND: verb,
        CNI_CONTAINERID: "",
        CNI_NETNS: "",
        CNI_IFNAME: "",
      }),
      stdin(conf({}), { CNI_COMMAND: verb, CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "" }),
      stdin(conf({ cniVersion: "1.1.0" }), { CNI_COMMAND: verb, CNI_PATH: null }),
      stdin({}, { CNI_COMMAND: verb }),
    ]),
    stdin(conf({ prevResult: "text" })),
    stdin(conf({ prevResult: { cniVersion: "9.9.9" } })),
    stdin(conf({ prevResult: { cniVersion: "1.0.0", ips: "text" } })),
    stdin(conf({ prevResult: { cniVersion: "1.0.0", ips: [{ address: "no address" }] } })),
  ];
};

export const REFUSALS: Case[] = TYPES.map(type => ({
  name: `${type}: what every plugin refuses`,
  // Nothing is there that a plugin could attach to, if it should not refuse.
  before: "ip netns delete c",
  steps: [...calls(type), "LOOK"],
}));
