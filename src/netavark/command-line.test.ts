import { expect, test } from "bun:test";
import { parseCommandLine, UsageError } from "./command-line.ts";

test("as podman 4 and 5 call it", () => {
  const words = ["--config", "/run/c", "--rootless=true", "--aardvark-binary=/a", "setup", "/run/netns/x"];
  const common = { file: undefined, config: "/run/c", rootless: true, rules: true, pluginDirectories: [] };
  expect(parseCommandLine(words, {})).toEqual({ name: "setup", netns: "/run/netns/x", ...common });
  expect(parseCommandLine(["-c/run/c", "-r", "true", "-f", "/in", "teardown", "/n"], {})).toEqual({
    name: "teardown",
    netns: "/n",
    ...common,
    file: "/in",
  });
  expect(
    parseCommandLine(["-c=/run/c", "-r=true", "update", "net", "--network-dns-servers", "1.1.1.1,::1"], {
      NETAVARK_FW: "none",
    }),
  ).toEqual({
    name: "update",
    network: "net",
    servers: ["1.1.1.1", "::1"],
    ...common,
    rules: false,
  });
});

test("what no command is", () => {
  for (const words of [
    [],
    ["bogus"],
    ["setup"],
    ["--nope", "setup", "x"],
    ["-r", "maybe", "setup", "x"],
    ["update", "n"],
  ])
    expect(() => parseCommandLine(words, {})).toThrow(UsageError);
});

test("versions", () => {
  expect(parseCommandLine(["--version"])).toMatchObject({
    text: expect.stringMatching(/^netavark \d+\.\d+\.\d+\n$/),
  });
  const facts = parseCommandLine(["version"]) as { text: string };
  expect(JSON.parse(facts.text)).toMatchObject({ default_fw_driver: "nftables" });
});
