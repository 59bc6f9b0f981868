import { expect, test } from "bun:test";
import fc from "fast-check";
import { defaultConfList, parseConfList } from "./conflist.ts";
import { CniError } from "./types.ts";

/** The article's file, as printed. */
const ARTICLE = `{
    "cniVersion": "0.4.0",
    "name": "podman",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "ipMasq": true,
            "ipam": {
                "type": "host-local",
                "subnet": "10.88.0.0/16",
                "routes": [
                    { "dst": "0.0.0.0/0" }
                ]
            }
        },
        {
            "type": "portmap",
            "capabilities": {
                "portMappings": true
            }
        }
    ]
}
`;

const minimal = (more: object = {}) =>
  JSON.stringify({ cniVersion: "1.0.0", name: "n", plugins: [{ type: "bridge" }], ...more });

test("the article's conflist is read as it stands, and its bytes are kept", () => {
  const list = parseConfList(ARTICLE);
  expect(list.name).toBe("podman");
  expect(list.cniVersion).toBe("0.4.0");
  expect(list.plugins.map(one => one.type)).toEqual(["bridge", "portmap"]);
  expect(list.source).toBe(ARTICLE);
});

test("the network in memory is a valid one on cni0 with 10.88.0.0/16", () => {
  const [bridge] = parseConfList(defaultConfList()).plugins;
  expect(bridge!.bridge).toBe("cni0");
  expect(JSON.stringify(bridge!.ipam)).toContain('"subnet":"10.88.0.0/16"');
});

test("the newest version of cniVersions that we speak is taken", () => {
  expect(parseConfList(minimal({ cniVersions: ["0.4.0", "1.1.0", "7.0.0"] })).cniVersion).toBe("1.1.0");
  expect(parseConfList(minimal({ cniVersion: undefined })).cniVersion).toBe("0.1.0");
  expect(() => parseConfList(minimal({ cniVersion: "9.9.9" }))).toThrow("incompatible CNI versions");
});

const REFUSED: [string, string, number][] = [
  ["", "error parsing configuration list", 6],
  ["[]", "it is no JSON object", 6],
  ["null", "it is no JSON object", 6],
  [minimal({ name: undefined }), "missing network name", 7],
  [minimal({ name: "a/b" }), "invalid characters found in network name: a/b", 7],
  [minimal({ plugins: undefined }), "no plugins in list", 7],
  [minimal({ plugins: [] }), "no plugins in list", 7],
  [minimal({ plugins: [{}] }), "a plugin without a type", 7],
  [minimal({ plugins: ["bridge"] }), "a plugin without a type", 7],
  [minimal({ plugins: [{ type: "../../bin/sh" }] }), "invalid plugin name", 7],
];
for (const [source, message, code] of REFUSED)
  test(`refused: ${source.slice(0, 70) || "an empty file"}`, () => {
    expect(() => parseConfList(source)).toThrow(message);
    try {
      parseConfList(source);
    } catch (error) {
      expect((error as CniError).code).toBe(code);
    }
  });

test("whatever the bytes are, the answer is a list or a CniError", () => {
  const check = (source: string) => {
    try {
      const list = parseConfList(source);
      expect(list.plugins.length).toBeGreaterThan(0);
    } catch (error) {
      expect(error).toBeInstanceOf(CniError);
    }
  };
  fc.assert(fc.property(fc.string(), check));
  fc.assert(fc.property(fc.json(), check));
  const value = fc.oneof(fc.jsonValue(), fc.constant("bridge"), fc.constant([{ type: "bridge" }]));
  fc.assert(
    fc.property(
      fc.record({ cniVersion: value, cniVersions: value, name: value, plugins: value, disableCheck: value }),
      object => check(JSON.stringify(object)),
    ),
  );
});
