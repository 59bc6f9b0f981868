/** Command lines that are refused: ours and Debian's end with the same code, and ours says why in one line. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { World } from "./world.ts";

const world = new World();
afterAll(() => world[Symbol.asyncDispose]());

/** Words and what ours says of them. */
const REFUSED: [words: string, message: RegExp][] = [
  ["", /^$/],
  ["1", /^$/],
  ["--foo 1 tap0", /unrecognized option '--foo'/],
  ["-z 1 tap0", /invalid option -- 'z'/],
  ["--m=1 1 tap0", /ambiguous/],
  ["--disable-dns=1 1 tap0", /doesn't allow an argument/],
  ["--api-socket", /requires an argument/],
  ["--mtu=0 1 tap0", /MTU must be a positive integer/],
  ["--mtu=65522 1 tap0", /MTU must be a positive integer/],
  ["--cidr=foo 1 tap0", /invalid CIDR: foo/],
  ["--cidr=10.0.300.0/24 1 tap0", /invalid network address: 10\.0\.300\.0/],
  ["--cidr=10.0.2.0/26 1 tap0", /prefix length needs to be 1-25/],
  ["--cidr=10.0.2.100/24 1 tap0", /CIDR needs to be a network address/],
  ["-e x 1 tap0", /exit-fd must be a non-negative integer/],
  ["-r -1 1 tap0", /ready-fd must be a non-negative integer/],
  ["--macaddress=02:00:00:00:00:01 1 tap0", /-c is not specified/],
  ["-c --macaddress=zz 1 tap0", /invalid MAC address/],
  ["--outbound-addr=nothing0 1 tap0", /outbound-addr has to be valid ipv4 address or interface name/],
  ["--target-type=tcp 1 tap0", /--target-type must be/],
  ["nobody tap0", /PID must be a positive integer/],
  ["99999999 tap0", /\/proc\/99999999\/ns\/net: no such file or directory/],
  ["--netns-type=path /nowhere tap0", /\/nowhere: no such file or directory/],
  ["--netns-type=path /etc/passwd tap0", /\/etc\/passwd is no network namespace/],
  ["--userns-path=/nowhere 1 tap0", /userns path doesn't exist: \/nowhere/],
];

test.each(REFUSED)("slirp4netns %s", async (words, message) => {
  const argv = words.split(" ").filter(Boolean);
  const [ours, debian] = await Promise.all([world.run("ours", ...argv), world.run("debian", ...argv)]);
  expect(ours.code).toBe(1);
  expect(debian.code).toBe(1);
  expect(ours.stderr).toMatch(message);
  expect(ours.stderr.trimEnd().split("\n")).toHaveLength(1);
});

test.each(["", "--foo 1 tap0", "--mtu=0 1 tap0", "nobody tap0"])(
  "the usage follows, as Debian's does: slirp4netns %s",
  async words => {
    const argv = words.split(" ").filter(Boolean);
    const [ours, debian] = await Promise.all([world.run("ours", ...argv), world.run("debian", ...argv)]);
    for (const { stdout } of [ours, debian]) expect(stdout).toMatch(/^Usage: \S*slirp4netns \[OPTION\]/);
  },
);

test("a descriptor that is not open is told of", async () => {
  const { code, stderr } = await world.run("ours", "-e", "77", "1", "tap0");
  expect(code).toBe(1);
  expect(stderr).toBe("exit-fd 77 is not an open descriptor\n");
});

test("an interface that is in use stays as it is, and no socket is left", async () => {
  const running = await world.start("ours");
  const socket = `${world.installed.directory}/left.sock`;
  const target = ["--netns-type=path", running.guest.path];
  const { code, stderr } = await world.run("ours", "-a", socket, ...target, "tap0");
  expect(code).toBe(1);
  expect(stderr).toBe("the interface tap0 is in use: device or resource busy\n");
  expect(existsSync(socket)).toBe(false);
  expect(running.guest.json<object[]>("ip", "-j", "link")).toHaveLength(2);
});

describe("help", () => {
  test("both list the same options", async () => {
    const optionsOf = (text: string) =>
      [...text.matchAll(/^(-., )?(--[a-z0-9-]+)/gm)].map(([, short = "", long]) => short + long).sort();
    const [ours, debian] = await Promise.all([world.run("ours", "--help"), world.run("debian", "--help")]);
    expect(ours.code).toBe(0);
    expect(optionsOf(ours.stdout)).toEqual(optionsOf(debian.stdout));
  });

  test("the first line of the version is Debian's", async () => {
    const [ours, debian] = await Promise.all([world.run("ours", "-v"), world.run("debian", "-v")]);
    expect(ours.stdout.split("\n")[0]).toBe(debian.stdout.split("\n")[0]!);
    expect(ours.stdout).toContain(/^SLIRP_CONFIG_VERSION_MAX: .*$/m.exec(debian.stdout)![0]);
  });
});
