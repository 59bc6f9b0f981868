import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import type { PastaOptions } from "./pasta-options.ts";
import { parseUserMode } from "./user-mode-options.ts";

const parse = (list: string) => parseUserMode(`pasta:${list}`) as PastaOptions;
const NOTHING: PastaOptions = {
  mode: "pasta",
  mtu: 65520,
  addresses: [],
  gateways: [],
  outbound: [],
  search: [],
  mapGateway: false,
  mapHostLoopback: [],
  ports: [],
  without: [],
};

describe("pasta", () => {
  test("alone it copies everything", () => {
    expect(parseUserMode("pasta")).toEqual(NOTHING);
  });

  test("short and long options, values apart, attached and after an equals sign", () => {
    const expected: PastaOptions = {
      ...NOTHING,
      mtu: 1500,
      addresses: ["10.1.2.3", "fd01::3"],
      prefix: 24,
      gateways: ["10.1.2.1"],
      interface: "eth0",
      name: "wan",
      mac: "02:00:00:00:00:07",
      gatewayMac: "02:00:00:00:00:08",
      outbound: ["192.0.2.9"],
      outboundInterface4: "eth1",
      outboundInterface6: "eth2",
    };
    const rest =
      "--ns-mac-addr,02:00:00:00:00:07,-M,02:00:00:00:00:08,-o,192.0.2.9,--outbound-if4,eth1,--outbound-if6,eth2";
    expect(parse(`-m,1500,-a,10.1.2.3,-a,fd01::3,-n,24,-g,10.1.2.1,-i,eth0,-I,wan,${rest}`)).toEqual(
      expected,
    );
    expect(
      parse(
        `--mtu=1500,--address=10.1.2.3/24,-afd01::3,--gateway,10.1.2.1,--interface=eth0,--ns-ifname,wan,${rest}`,
      ),
    ).toEqual(expected);
    expect(parse("-a,10.1.2.3,-n,255.255.255.0").prefix).toBe(24);
  });

  test("names, maps and what is left out", () => {
    expect(
      parse("--dns-forward,10.1.1.1,-D,9.9.9.9,-S,example.org,--map-gw,--map-host-loopback,10.1.1.2"),
    ).toMatchObject({
      dnsForward: ["10.1.1.1"],
      dns: ["9.9.9.9"],
      search: ["example.org"],
      mapGateway: true,
      mapHostLoopback: ["10.1.1.2"],
    });
    expect(parse("--map-guest-addr,none,--no-map-gw,-4,--no-icmp,--no-ra,--no-icmp")).toMatchObject({
      mapGuestAddress: [],
      mapGateway: false,
      family: 4,
      without: ["icmp", "ra"],
    });
  });

  test("ports", () => {
    const port = (hostIp: string, hostPort: number, containerPort: number, range = 1) => ({
      ...{ hostIp, hostPort, containerPort, range },
      protocol: "tcp",
    });
    expect(
      parse("-t,8080:80,-t,22,-t,127.0.0.1/5000-5002:6000-6002,-t,::1/99,-t,none,-T,none").ports,
    ).toEqual([
      port("", 8080, 80),
      port("", 22, 22),
      port("127.0.0.1", 5000, 6000, 3),
      port("::1", 99, 99),
    ] as PastaOptions["ports"]);
    expect(parse("-u,53:5353").ports).toMatchObject([{ protocol: "udp", hostPort: 53, containerPort: 5353 }]);
  });

  test("defaults of containers.conf come first", () => {
    expect(parseUserMode("pasta:-m,1400", { pastaOptions: ["-m", "9000", "--map-gw"] })).toMatchObject({
      mtu: 1400,
      mapGateway: true,
    });
  });

  test.each([
    ["--colour", 'pasta: option "--colour" is not supported'],
    ["", 'pasta: option "" is not supported'],
    ["--map-gw=yes", 'pasta: option "--map-gw=yes" is not supported'],
    ["-m", "pasta: option -m requires an argument"],
    ["-m,67", 'pasta: invalid argument "67" of --mtu'],
    ["-a,10.1.2", 'pasta: invalid argument "10.1.2" of --address'],
    ["-n,255.0.255.0", 'pasta: invalid argument "255.0.255.0" of --netmask'],
    ["-t,auto", 'pasta: ports "auto" are not supported'],
    ["-t,~80", 'pasta: ports "~80" are not supported'],
    ["-t,80-79", 'pasta: invalid argument "80-79" of --tcp-ports'],
    ["-t,80-81:90-92", 'pasta: invalid argument "80-81:90-92" of --tcp-ports'],
    ["-t,70000", 'pasta: invalid argument "70000" of --tcp-ports'],
    ["-T,5432", "pasta: --tcp-ns 5432 is not supported"],
    ["-4,-a,fd01::1", "pasta: fd01::1 is not of IPv4, the only family that was asked for"],
    ["--ns-mac-addr,01:00:00:00:00:00", 'pasta: invalid argument "01:00:00:00:00:00" of --ns-mac-addr'],
  ])("%p is refused", (list, message) => {
    expect(() => parse(list)).toThrow(new UserError(message));
  });
});

test("whatever is said, it is understood or refused in one line", () => {
  const option = fc.constantFrom(
    ...[
      "-m",
      "-a",
      "-n",
      "-g",
      "-i",
      "-I",
      "-t",
      "-u",
      "-D",
      "-4",
      "-6",
      "--map-gw",
      "--dns-forward",
      "--no-tcp",
    ],
  );
  // Names that every object has are no options.
  for (const word of ["valueOf", "-constructor", "--toString", "__proto__"])
    expect(() => parse(word)).toThrow(UserError);
  const value = fc.oneof(fc.ipV4(), fc.ipV6(), fc.nat().map(String), fc.string(), fc.constant("1-2:3-4"));
  fc.assert(
    fc.property(fc.array(fc.oneof(option, value), { maxLength: 8 }), list => {
      try {
        const options = parse(list.join(","));
        expect(JSON.parse(JSON.stringify(options))).toEqual(options);
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect((error as Error).message).not.toContain("\n");
      }
    }),
  );
});
