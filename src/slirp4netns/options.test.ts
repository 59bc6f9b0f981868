import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatCidr, formatIP } from "../wire/addr.ts";
import { addressesOf } from "./addresses.ts";
import { helpText, versionText } from "./help.ts";
import { OPTIONS, parseCommandLine, type SlirpOptions, UsageError } from "./options.ts";

function run(...argv: string[]): SlirpOptions {
  const command = parseCommandLine(argv);
  if (command.kind !== "run") throw new Error(`${command.kind} is not run`);
  return command.options;
}

function refusal(...argv: string[]): UsageError {
  try {
    parseCommandLine(argv);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`${argv.join(" ")} was accepted`);
}

describe("the command lines of engines", () => {
  test("Podman 4.3.1", () => {
    const line =
      "--disable-host-loopback --mtu=65520 --enable-sandbox --enable-seccomp --enable-ipv6 -c -e 3 -r 4 " +
      "--api-socket /run/user/1/libpod/tmp/x.net --netns-type=path /run/user/1/netns/netns-1 tap0";
    expect(run(...line.split(" "))).toMatchObject({
      hostLoopback: false,
      mtu: 65520,
      sandbox: true,
      seccomp: true,
      ipv6: true,
      configure: true,
      exitFd: 3,
      readyFd: 4,
      apiSocket: "/run/user/1/libpod/tmp/x.net",
      target: { kind: "path", path: "/run/user/1/netns/netns-1" },
      tapName: "tap0",
    });
  });

  test("RootlessKit, with and without a detached network namespace", () => {
    expect(run("--mtu", "65520", "-r", "3", "--cidr", "10.9.0.0/16", "4711", "tap0")).toMatchObject({
      target: { kind: "pid", pid: 4711 },
      configure: false,
    });
    expect(run("--userns-path=/proc/7/ns/user", "--netns-type=path", "/run/ns", "tap0")).toMatchObject({
      usernsPath: "/proc/7/ns/user",
      target: { kind: "path", path: "/run/ns" },
    });
  });

  test("defaults", () => {
    const options = run("1", "tap0");
    const { gateway, dns, guest, dhcp, network } = addressesOf(options.network);
    expect(
      [formatCidr(network), gateway, dns, guest, dhcp.first, dhcp.last].map(one =>
        typeof one === "string" ? one : formatIP(one),
      ),
    ).toEqual(["10.0.2.0/24", "10.0.2.2", "10.0.2.3", "10.0.2.100", "10.0.2.15", "10.0.2.30"]);
    expect(options).toMatchObject({ mtu: 1500, ipv6: false, hostLoopback: true, dns: true, sandbox: false });
  });
});

describe("getopt_long's habits", () => {
  test("joined, shortened, after arguments, behind --", () => {
    expect(run("-c6m1400", "1", "tap0")).toMatchObject({ configure: true, ipv6: true, mtu: 1400 });
    expect(run("--mt", "1400", "--conf", "1", "tap0")).toMatchObject({ mtu: 1400, configure: true });
    expect(run("1", "tap0", "-c")).toMatchObject({ configure: true });
    expect(run("--netns-type=path", "--", "-c", "tap0")).toMatchObject({
      target: { kind: "path", path: "-c" },
    });
  });

  test.each([
    ["--foo", "unrecognized option '--foo'"],
    ["-z", "invalid option -- 'z'"],
    ["--m=1", "is ambiguous; possibilities: '--mtu' '--macaddress'"],
    ["--enable-ipv6=1", "option '--enable-ipv6' doesn't allow an argument"],
    ["--api-socket", "option '--api-socket' requires an argument"],
    ["-e", "option requires an argument -- 'e'"],
  ])("%s is refused", (word, message) => {
    expect(refusal(word).message).toContain(message);
    expect(refusal(word).usage).toBe(true);
  });
});

describe("values", () => {
  test.each([
    ["foo", "invalid CIDR: foo"],
    ["10.0.2.0", "invalid CIDR: 10.0.2.0"],
    ["10.0.2.0/", "invalid CIDR: 10.0.2.0/"],
    ["10.0.2.0/024", "invalid CIDR: 10.0.2.0/024"],
    ["fd00::/64", "invalid CIDR: fd00::/64"],
    ["10.0.300.0/24", "invalid network address: 10.0.300.0"],
    ["10.0.2.0/0", "prefix length needs to be 1-25"],
    ["10.0.2.0/26", "prefix length needs to be 1-25"],
    ["10.0.2.100/24", "CIDR needs to be a network address like 10.0.2.0/24, not like 10.0.2.100/24"],
  ])("--cidr %s", (text, message) => {
    expect(refusal(`--cidr=${text}`, "1", "tap0")).toMatchObject({ message, usage: false });
  });

  test.each([
    ["--mtu=0", "MTU must be a positive integer (< 65522)"],
    ["--mtu=65522", "MTU must be a positive integer (< 65522)"],
    ["--mtu=1e3", "MTU must be a positive integer (< 65522)"],
    ["-e-1", "exit-fd must be a non-negative integer"],
    ["-rx", "ready-fd must be a non-negative integer"],
    ["--netns-type=pod", "--netns-type must be"],
    ["--target-type=bess", "--target-type must be"],
    ["--outbound-addr=::1", "outbound-addr has to be valid ipv4 address or interface name."],
    ["--outbound-addr6=10.0.0.1", "outbound-addr6 has to be valid ipv6 address or interface name."],
    ["--macaddress=02:00:00:00:00:01", "cannot be specified when --configure or -c is not specified"],
  ])("%s is refused", (word, message) => {
    expect(refusal(word, "1", "tap0").message).toContain(message);
  });

  test.each([
    ["zz", "is an invalid MAC address"],
    ["02:00:00:00:00:01:02", "is an invalid MAC address"],
    ["01:00:5e:00:00:01", "multicast"],
    ["0:0:0:0:0:0", "zero"],
  ])("--macaddress %s is refused", (text, message) => {
    expect(refusal("-c", `--macaddress=${text}`, "1", "tap0").message).toContain(message);
  });

  test("--macaddress takes single digits", () => {
    expect(run("-c", "--macaddress=2:0:0:a:B:1", "1", "tap0").mac).toBe("02:00:00:0a:0b:01");
  });

  test.each([["0"], ["x"], ["1x"], ["99999999999"]])("process %s is refused", pid => {
    expect(refusal(pid, "tap0").message).toBe("PID must be a positive integer");
  });

  test.each([["a/b"], ["waytoolongtapname0123"], [".."], ["a b"], [""]])("interface %p is refused", name => {
    expect(refusal("1", name).message).toContain("invalid interface name");
  });

  test("a tap that was handed over needs no name", () => {
    expect(run("--netns-type=tapfd", "7")).toMatchObject({ target: { kind: "tapfd", fd: 7 }, tapName: "" });
  });

  test("too few arguments show the usage, too many are ignored with a warning", () => {
    expect(refusal().message).toBe("");
    expect(refusal("1").usage).toBe(true);
    expect(parseCommandLine(["1", "tap0", "more"])).toMatchObject({ warnings: ["too many arguments"] });
  });
});

describe("help", () => {
  test("has every word that engines look for", () => {
    const words =
      "--disable-host-loopback --mtu --enable-sandbox --enable-seccomp --cidr --outbound-addr --outbound-addr6 " +
      "--enable-ipv6 --api-socket --netns-type --configure --exit-fd --ready-fd --disable-dns --macaddress " +
      "--userns-path --target-type -c, -e, -r, -m, -6, -a, -h, -v,";
    const help = helpText();
    expect(words.split(" ").filter(word => !help.includes(word))).toEqual([]);
    expect(parseCommandLine(["--help", "--foo".slice(0, 2)])).toEqual({ kind: "help" });
  });

  test("the version has the key by which features are told", () => {
    expect(versionText()).toMatch(/^slirp4netns version 1\.2\.0$/m);
    expect(versionText()).toMatch(/^SLIRP_CONFIG_VERSION_MAX: 4$/m);
  });
});

describe("any words", () => {
  const word = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constantFrom("-", "--", "-c", "-6", "-m", "1500", "1", "tap0", "=", "--="),
    fc.constantFrom(...OPTIONS.map(({ long }) => `--${long}`)),
    fc
      .tuple(fc.constantFrom(...OPTIONS.map(({ long }) => long)), fc.string({ maxLength: 12 }))
      .map(([long, value]) => `--${long}=${value}`),
  );

  test("are understood or refused, and never anything else", () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), words => {
        try {
          const command = parseCommandLine(words);
          if (command.kind !== "run") return;
          const { mtu, network, tapName, exitFd = 0, readyFd = 0 } = command.options;
          expect(mtu >= 1 && mtu <= 65521).toBe(true);
          expect(network.prefix >= 1 && network.prefix <= 25).toBe(true);
          expect(Buffer.byteLength(tapName) <= 15).toBe(true);
          expect(exitFd >= 0 && readyFd >= 0).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          expect((error as UsageError).message).not.toContain("\n");
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("every network of prefix 1 to 25 is taken, with the host bits clear, and its guest lies in it", () => {
    fc.assert(
      fc.property(fc.nat({ max: 0xffffffff }), fc.integer({ min: 1, max: 25 }), (address, prefix) => {
        const base = Number((BigInt(address) >> BigInt(32 - prefix)) << BigInt(32 - prefix));
        const text = [24, 16, 8, 0].map(shift => Math.floor(base / 2 ** shift) % 256).join(".");
        const { network } = run(`--cidr=${text}/${prefix}`, "1", "tap0");
        expect(formatCidr(network)).toBe(`${text}/${prefix}`);
        const last = base + 2 ** (32 - prefix) - 1;
        expect(base + 100 < last).toBe(true);
      }),
    );
  });
});
