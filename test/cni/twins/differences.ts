/**
 * Where our plugins are otherwise than Go's on purpose. Each entry says why, and must be met: one that no longer occurs fails the
 * test as one that is not listed does.
 */
import type { Difference } from "./compare.ts";

export interface Known {
  /** Which cases: their names with the version. All if absent. */
  case?: RegExp;
  path: RegExp;
  go?: RegExp;
  ours?: RegExp;
  reason: string;
}

export const KNOWN: readonly Known[] = [
  {
    path: /^\d+ \S+\/err$/,
    go: /plugin version unknown/,
    ours: /plugin v1\.9\.1/,
    reason: "Debian builds Go's without a version; nerdctl decides by it what a plugin can do",
  },
  {
    path: /\/out\/code$/,
    go: /^999$/,
    ours: /^([4-8]|50)$/,
    reason: "Go's plugins answer 999 to whatever they refuse themselves; ours give the specification's code",
  },
  {
    path: /\/out\/msg$/,
    go: /json: |unexpected end of JSON input|invalid character|looking for beginning/,
    ours: /\w/,
    reason: "words of Go's JSON parser and names of its types",
  },
  {
    path: /LOOK\/host\/sysctl\/ipv6\/conf\/(cni0|br0)\/accept_dad$/,
    go: /^1$/,
    ours: /^0$/,
    reason:
      "while a bridge asks for two seconds whether its link-local address is free, it asks for no neighbour",
  },
  {
    path: /LOOK\/(host|container)\/links\/[^/]+\/addr_info\/\{.*inet6/,
    reason:
      "IPv6 addresses are added without duplicate address detection: nobody else could have them, and they serve at once",
  },
  {
    path: /LOOK\/(host|container)\/links\/[^/]+\/txqlen$/,
    reason: "Go asks for a queue of no length, which a veth has not anyway",
  },
];

export const isKnown = (one: Difference, known: Known): boolean =>
  (known.case?.test(one.case) ?? true) &&
  known.path.test(one.path) &&
  (known.go?.test(one.go) ?? true) &&
  (known.ours?.test(one.ours) ?? true);
