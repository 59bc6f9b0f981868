import { beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import { formatIP, type IpAddress, parseCidr, parseIP } from "../wire/addr.ts";
import { CLASS, RCODE, TYPE } from "../wire/dns.ts";
import { parseDomains } from "../wire/domain.ts";
import { type NamedNetwork, NameTable } from "./names.ts";

const ip = (text: string) => parseIP(text)!;
const network = (name: string, ...subnets: string[]): NamedNetwork => ({
  name,
  domain: "dns.podman",
  internal: false,
  subnets: subnets.map(one => parseCidr(one)!),
  addresses: subnets.map(one => ip(one.replace(/(\.0|::)\/.*/, start => (start[0] === "." ? ".1" : "::1")))),
});
const RED = network("red", "10.89.0.0/24", "fd89::/64");
const BLUE = network("blue", "10.89.1.0/24");
const SECRET = { ...network("secret", "10.89.2.0/24"), internal: true };
/** By container. */
const RESOLVERS: Record<string, { ip: IpAddress; zone: string }[]> = {
  "2": [{ ip: ip("192.0.2.53"), zone: "" }],
};
const STRANGER = "10.89.0.200";

let table: NameTable;

function join(where: NamedNetwork, container: string, names: string[], addresses: string[], outside = true) {
  const key = `${where.name}/${container}`;
  const [network, resolvers] = [where.name, RESOLVERS[container] ?? []];
  table.add(key, { network, container, names, addresses: addresses.map(ip), outside, resolvers });
}

/** The answer in words: `forward`, an error, or the records. */
function ask(where: NamedNetwork, from: string, name: string, type: number = TYPE.A, more = {}): string {
  const query = { name, type, class: CLASS.IN, opcode: 0, end: 0, udpSize: undefined, ...more };
  const verdict = table.answer(where, ip(from).bytes, query);
  if (verdict === "forward") return verdict;
  const rcode = Object.entries(RCODE).find(([, code]) => code === verdict.rcode)![0];
  if (rcode !== "NOERROR") return rcode;
  const text = (one: { type: number; data: Uint8Array }) =>
    one.type === TYPE.PTR
      ? parseDomains(one.data)!.join()
      : formatIP({ family: one.data.length === 4 ? 4 : 6, bytes: one.data } as IpAddress);
  return verdict.records.map(text).join(" ") || "nothing";
}

beforeEach(() => {
  table = new NameTable();
  for (const one of [RED, BLUE, SECRET]) table.addNetwork(one);
  join(RED, "1", ["web", "www", "0123456789ab"], ["10.89.0.2", "fd89::2"]);
  join(RED, "2", ["db"], ["10.89.0.3"]);
  join(BLUE, "3", ["mail", "www"], ["10.89.1.2"]);
});

test("a container has its names, with the domain and without; each family its own addresses", () => {
  for (const name of ["web", "www", "0123456789ab", "web.dns.podman", "www.dns.podman"]) {
    expect(ask(RED, "10.89.0.3", name)).toBe("10.89.0.2");
    expect(ask(RED, "10.89.0.3", name, TYPE.AAAA)).toBe("fd89::2");
  }
  expect(ask(RED, "10.89.0.2", "db", TYPE.AAAA)).toBe("nothing");
  expect(ask(RED, "10.89.0.2", "db", 15)).toBe("nothing");
  expect(ask(RED, "10.89.0.2", "dns.podman")).toBe("nothing");
});

test("an alias may have dots, and be a name of somebody outside", () => {
  join(RED, "7", ["proxy", "api.example.org"], ["10.89.0.7"]);
  expect(ask(RED, "10.89.0.2", "api.example.org")).toBe("10.89.0.7");
  expect(ask(RED, "10.89.0.2", "www.example.org")).toBe("forward");
  expect(ask(BLUE, "10.89.1.2", "api.example.org")).toBe("forward");
});

test("what is not there is NXDOMAIN inside the domain alone; the rest is for others", () => {
  expect(ask(RED, STRANGER, "nobody.dns.podman")).toBe("NXDOMAIN");
  expect(ask(RED, STRANGER, "web.other.dns.podman")).toBe("NXDOMAIN");
  expect(ask(RED, STRANGER, "nobody")).toBe("forward");
  expect(ask(RED, STRANGER, "example.org", TYPE.AAAA)).toBe("forward");
  expect(ask(RED, STRANGER, "mydns.podman")).toBe("forward");
  expect(ask(RED, STRANGER, "web", TYPE.A, { class: 3 })).toBe("forward");
  expect(ask(RED, STRANGER, "web", TYPE.A, { opcode: 5 })).toBe("NOTIMP");
});

test("names of other networks are told to those alone who are on them", () => {
  expect(ask(RED, "10.89.0.3", "mail.dns.podman")).toBe("NXDOMAIN");
  expect(ask(BLUE, "10.89.1.2", "web.dns.podman")).toBe("NXDOMAIN");
  join(BLUE, "2", ["db"], ["10.89.1.3"]);
  expect(ask(RED, "10.89.0.3", "mail.dns.podman")).toBe("10.89.1.2");
  expect(ask(RED, "10.89.0.3", "www").split(" ").sort()).toEqual(["10.89.0.2", "10.89.1.2"]);
  expect(ask(BLUE, "10.89.1.3", "web")).toBe("10.89.0.2");
  expect(ask(RED, "10.89.0.2", "mail.dns.podman")).toBe("NXDOMAIN");
  // An address says who it is on its own network only.
  expect(ask(BLUE, "10.89.0.3", "web.dns.podman")).toBe("NXDOMAIN");
});

test("a name that several have is all of theirs, each time in another order", () => {
  join(RED, "4", ["web2", "www"], ["10.89.0.4"]);
  const first = new Set(Array.from({ length: 4 }, () => ask(RED, STRANGER, "www").split(" ")[0]));
  expect([...first].sort()).toEqual(["10.89.0.2", "10.89.0.4"]);
  table.remove("red/4");
  expect(ask(RED, STRANGER, "www")).toBe("10.89.0.2");
  table.remove("red/1");
  expect(ask(RED, STRANGER, "www.dns.podman")).toBe("NXDOMAIN");
});

test("addresses have the name of their container; nobody outside is asked for those of the network", () => {
  expect(ask(RED, STRANGER, "2.0.89.10.in-addr.arpa", TYPE.PTR)).toBe("web.dns.podman");
  const six = [...Buffer.from(ip("fd89::2").bytes).toString("hex")].reverse().join(".");
  expect(ask(RED, STRANGER, `${six}.ip6.arpa`, TYPE.PTR)).toBe("web.dns.podman");
  expect(ask(RED, STRANGER, "2.0.89.10.in-addr.arpa")).toBe("nothing");
  join(RED, "6", ["x".repeat(64), "short"], ["10.89.0.6"]);
  expect(ask(RED, STRANGER, "6.0.89.10.in-addr.arpa", TYPE.PTR)).toBe("short.dns.podman");
  expect(ask(RED, STRANGER, "77.0.89.10.in-addr.arpa", TYPE.PTR)).toBe("NXDOMAIN");
  expect(ask(RED, STRANGER, "8.8.8.8.in-addr.arpa", TYPE.PTR)).toBe("forward");
  expect(ask(RED, STRANGER, "2.1.89.10.in-addr.arpa", TYPE.PTR)).toBe("forward");
});

test("on an internal network nothing is asked outside, but for those who are on another network too", () => {
  join(SECRET, "5", ["vault"], ["10.89.2.2"], false);
  join(SECRET, "2", ["db"], ["10.89.2.3"], true);
  expect(ask(SECRET, "10.89.2.2", "db")).toBe("10.89.2.3");
  expect(ask(SECRET, "10.89.2.2", "example.org")).toBe("NXDOMAIN");
  expect(ask(SECRET, "10.89.2.200", "example.org")).toBe("NXDOMAIN");
  expect(ask(SECRET, "10.89.2.3", "example.org")).toBe("forward");
  // Connected to another one later.
  join(BLUE, "5", ["vault"], ["10.89.1.9"]);
  expect(ask(SECRET, "10.89.2.2", "example.org")).toBe("forward");
});

test("a container may have resolvers of its own, the others have the host's; nobody has us", () => {
  const resolver = (text: string) => ({ ip: ip(text), zone: "" });
  const hosts = ["10.89.1.1", "192.0.2.1", "10.89.0.1", "fd89::1"].map(resolver);
  const of = (from: string) => table.resolversFor("red", ip(from).bytes, hosts).map(one => formatIP(one.ip));
  expect(of("10.89.0.3")).toEqual(["192.0.2.53"]);
  expect(of("10.89.0.2")).toEqual(["192.0.2.1"]);
  expect(of(STRANGER)).toEqual(["192.0.2.1"]);
});

test("however members come, are replaced and go, each name is that of those who have it", () => {
  const small = fc.integer({ min: 0, max: 3 });
  const member = fc.record({
    key: small,
    where: fc.constantFrom(RED, BLUE),
    container: small,
    names: fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 }),
    host: fc.integer({ min: 2, max: 6 }),
    stays: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(member, { maxLength: 12 }), small, (members, asker) => {
      const own = new NameTable();
      for (const one of [RED, BLUE]) own.addNetwork(one);
      const now = new Map<
        number,
        { where: NamedNetwork; container: string; names: string[]; address: string }
      >();
      for (const { key, where, container, names, host, stays } of members) {
        const address = where === RED ? `10.89.0.${host}` : `10.89.1.${host}`;
        if (stays) {
          now.set(key, { where, container: `${container}`, names, address });
          const [ips, network] = [[ip(address)], where.name];
          own.add(`${key}`, {
            network,
            container: `${container}`,
            names,
            addresses: ips,
            outside: true,
            resolvers: [],
          });
        } else {
          now.delete(key);
          own.remove(`${key}`);
        }
      }
      const all = [...now.values()];
      const from = `10.89.0.${asker + 2}`;
      const who = all.filter(one => one.where === RED && one.address === from).map(one => one.container);
      const seen = all.filter(
        one => one.where === RED || all.some(at => at.where === one.where && who.includes(at.container)),
      );
      for (const name of ["a", "b", "c"]) {
        const expected = seen.filter(one => one.names.includes(name)).map(one => one.address);
        const query = { name, type: TYPE.A, class: CLASS.IN, opcode: 0, end: 0, udpSize: undefined };
        const verdict = own.answer(RED, ip(from).bytes, query);
        const told =
          verdict === "forward" ? [] : verdict.records.map(one => formatIP({ family: 4, bytes: one.data }));
        expect(told.sort()).toEqual(expected.sort());
      }
    }),
  );
});
