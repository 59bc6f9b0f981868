/** What comes in at the service's socket is a request as it is documented, or refused. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { SERVICES } from "../stack/config.ts";
import { parseServiceRequest, type ServiceRequest } from "./service-message.ts";

const encode = (message: unknown) => new TextEncoder().encode(JSON.stringify(message));
const text = fc.string({ minLength: 1, maxLength: 40 });
const four = fc.ipV4();
const six = fc.ipV6();
const address = fc.oneof(four, six);
const network = (ip: fc.Arbitrary<string>, bits: number) =>
  fc.tuple(ip, fc.integer({ min: 0, max: bits })).map(([base, prefix]) => `${base}/${prefix}`);
const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });
const device = fc.constantFrom("eth0", "wlp0s20f3", "br-0123456789ab");
const port = fc.integer({ min: 1, max: 65_535 });

const tap = fc.record({
  ipv4: fc.record({ subnet: network(four, 32), gateway: four, dns: four, guest: four }),
  ipv6: maybe(fc.record({ prefix: network(six, 128), gateway: six, dns: six, guest: maybe(six) })),
  mac: maybe(fc.constant("52:55:0a:00:02:02")),
  mtu: fc.integer({ min: 576, max: 65_520 }),
  hostLoopback: fc.boolean(),
  shared: maybe(fc.boolean()),
  aliases: maybe(fc.array(fc.record({ address, to: fc.oneof(address, fc.constant("loopback")) }))),
  without: maybe(fc.subarray([...SERVICES])),
  dns: fc.boolean(),
  outbound: fc.record({
    ipv4: maybe(four),
    ipv6: maybe(six),
    device4: maybe(device),
    device6: maybe(device),
  }),
});
const ports = fc.record({
  proto: fc.constantFrom("tcp" as const, "udp" as const),
  hostAddr: address,
  hostPort: port,
  guestAddr: address,
  guestPort: port,
  count: port,
});
const resolver = fc.record({
  network: text,
  domain: text,
  internal: fc.boolean(),
  addresses: fc.array(address, { maxLength: 3 }),
  subnets: fc.array(network(four, 32), { maxLength: 3 }),
});
const name = fc.record({
  network: text,
  container: text,
  names: fc.array(text, { maxLength: 3 }),
  addresses: fc.array(address, { maxLength: 3 }),
  outside: fc.boolean(),
  resolvers: fc.array(address, { maxLength: 3 }),
});
const op = <T extends string>(word: T) => fc.constant(word);
const request: fc.Arbitrary<ServiceRequest> = fc.oneof(
  fc.record({ op: op("hello") }),
  fc.record({ op: op("list") }),
  fc.record({ op: op("remove"), key: text }),
  fc.record({ op: op("tap"), key: text, settings: tap as fc.Arbitrary<never> }),
  fc.record({ op: op("ports"), key: text, tap: text, settings: ports }),
  fc.record({ op: op("resolver"), key: text, settings: resolver }),
  fc.record({ op: op("name"), key: text, settings: name }),
);

test("every request is understood as it was meant", () => {
  fc.assert(
    fc.property(request, fc.integer({ min: 1, max: 2 ** 40 }), (wanted, seq) => {
      const parsed = parseServiceRequest(encode({ ...wanted, seq }));
      expect(parsed).toEqual({ seq, request: JSON.parse(JSON.stringify(wanted)) });
    }),
  );
});

test("a request with one thing wrong is refused, or means what it says", () => {
  fc.assert(
    fc.property(request, fc.nat(), fc.jsonValue(), (wanted, place, wrong) => {
      const message = JSON.parse(JSON.stringify({ ...wanted, seq: 1 })) as Record<string, unknown>;
      const target = ((place % 3 && message.settings) || message) as Record<string, unknown>;
      const keys = Object.keys(target);
      target[keys[place % keys.length]!] = wrong;
      try {
        const { seq, request: parsed } = parseServiceRequest(encode(message));
        expect(parseServiceRequest(encode({ ...parsed, seq }))).toEqual({ seq, request: parsed });
      } catch (error) {
        expect((error as Error).message).not.toBe("");
        expect(error).not.toBeInstanceOf(TypeError);
      }
    }),
  );
});

test("what is not known is not passed over", () => {
  const wanted = { seq: 1, op: "remove", key: "a" };
  expect(() => parseServiceRequest(encode({ ...wanted, gently: true }))).toThrow("gently is not known here");
  const outbound = { ipv4: "192.0.2.1", ipv5: "192.0.2.2" };
  const settings = { ...fc.sample(tap, 1)[0], outbound };
  expect(() => parseServiceRequest(encode({ seq: 1, op: "tap", key: "a", settings }))).toThrow(
    "ipv5 is not known here",
  );
});

test("bytes and other JSON are refused", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.jsonValue().map(encode)), data => {
      expect(() => parseServiceRequest(data)).toThrow();
    }),
  );
});
