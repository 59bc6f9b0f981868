import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { parseUserMode } from "./user-mode-options.ts";

const slirp = (list: string) => parseUserMode(`slirp4netns:${list}`);

describe("slirp4netns", () => {
  test("alone it is what podman starts: IPv6, the largest MTU, no way to the host's loopback", () => {
    expect(parseUserMode("slirp4netns")).toEqual({
      mode: "slirp4netns",
      allowHostLoopback: false,
      mtu: 65520,
      ipv6: true,
      portHandler: "rootlesskit",
    });
  });

  test("every option of podman's", () => {
    const options =
      "allow_host_loopback=true,mtu=1500,cidr=10.9.0.0/16,enable_ipv6=false,outbound_addr=192.0.2.1,outbound_addr6=eth0,port_handler=slirp4netns";
    expect(slirp(options)).toEqual({
      mode: "slirp4netns",
      allowHostLoopback: true,
      mtu: 1500,
      cidr: "10.9.0.0/16",
      ipv6: false,
      outbound: "192.0.2.1",
      outbound6: "eth0",
      portHandler: "slirp4netns",
    });
  });

  test("containers.conf speaks first, the command line last", () => {
    const defaults = { networkCmdOptions: ["enable_ipv6=false", "mtu=1400"] };
    expect(parseUserMode("slirp4netns", defaults)).toMatchObject({ ipv6: false, mtu: 1400 });
    expect(parseUserMode("slirp4netns:mtu=9000", defaults)).toMatchObject({ ipv6: false, mtu: 9000 });
    expect(() => parseUserMode("slirp4netns", { networkCmdOptions: ["colour=red"] })).toThrow(
      'unknown option for slirp4netns: "colour=red"',
    );
  });

  test.each([
    ["", 'unknown option for slirp4netns: ""'],
    ["mtu", 'unknown option for slirp4netns: "mtu"'],
    ["foo=bar", 'unknown option for slirp4netns: "foo=bar"'],
    ["=1", 'unknown option for slirp4netns: "=1"'],
    ["mtu=67", 'invalid mtu "67"'],
    ["mtu=65521", 'invalid mtu "65521"'],
    ["mtu=-1", 'invalid mtu "-1"'],
    ["mtu=1500x", 'invalid mtu "1500x"'],
    ["allow_host_loopback=yes", 'invalid value of allow_host_loopback for slirp4netns: "yes"'],
    ["enable_ipv6=1", 'invalid value of enable_ipv6 for slirp4netns: "1"'],
    ["port_handler=docker", 'unknown port_handler for slirp4netns: "docker"'],
    ["cidr=10.0.2.0", 'invalid cidr "10.0.2.0"'],
    ["cidr=fd00::/64", 'invalid cidr "fd00::/64"'],
    ["cidr=127.0.0.0/24", 'invalid cidr "127.0.0.0/24"'],
    ["cidr=10.0.2.0/26", 'invalid cidr "10.0.2.0/26": prefix length needs to be 1-25'],
    ["cidr=10.0.2.5/24", 'invalid cidr "10.0.2.5/24": it needs to be a network address like 10.0.2.0/24'],
    ["outbound_addr=fd00::1", 'invalid outbound_addr "fd00::1"'],
    ["outbound_addr6=10.0.0.1", 'invalid outbound_addr6: "10.0.0.1"'],
  ])("%p is refused", (list, message) => {
    expect(() => slirp(list)).toThrow(new UserError(message));
  });
});

test("words that name another mode are left alone", () => {
  for (const word of ["host", "none", "bridge", "slirp4netnsx", "container:slirp4netns", "pastafarian", ""])
    expect(parseUserMode(word)).toBeUndefined();
});

test("whatever is said, it is understood or refused in one line", () => {
  const name = fc.constantFrom(
    ...[
      "mtu",
      "cidr",
      "enable_ipv6",
      "allow_host_loopback",
      "outbound_addr",
      "outbound_addr6",
      "port_handler",
    ],
  );
  const value = fc.oneof(
    fc.string(),
    fc.ipV4(),
    fc.ipV6(),
    fc.integer().map(String),
    fc.constant("10.1.0.0/16"),
  );
  const option = fc.oneof(
    fc.string(),
    fc.tuple(name, value).map(parts => parts.join("=")),
  );
  fc.assert(
    fc.property(fc.array(option, { maxLength: 4 }), list => {
      try {
        const options = parseUserMode(`slirp4netns:${list.join(",")}`);
        expect(JSON.parse(JSON.stringify(options))).toEqual(options!);
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect((error as Error).message).not.toContain("\n");
      }
    }),
  );
});
