import { expect, test } from "bun:test";
import fc from "fast-check";
import { GobError } from "./gob.ts";
import { GobDecoder } from "./gob-decoder.ts";
import { GobEncoder } from "./gob-encoder.ts";
import { ARGUMENTS, fromGo, NOTHING, REQUEST, RESULT, toGo } from "./rpc.ts";

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));

/** Taken from what Debian's `dhcp` plugin sent: net/rpc's head, then `skel.CmdArgs`. */
const FROM_GO = hex(`
  2fff81030101075265717565737401ff82000102010d536572766963654d6574686f64010c000103536571010600000012ff82010d44
  4843502e416c6c6f63617465005aff8303010107436d644172677301ff84000106010b436f6e7461696e65724944010c0001054e6574
  6e73010c00010649664e616d65010c00010441726773010c00010450617468010c000109537464696e44617461010a000000ff98ff84
  01026331010d2f72756e2f6e65746e732f6331010465746830020c2f7573722f6c69622f636e69016c7b22636e6956657273696f6e22
  3a22312e302e30222c226e616d65223a226c616e222c2274797065223a2264686370222c226970616d223a7b2274797065223a226468
  6370222c226461656d6f6e536f636b657450617468223a222f746d702f676f622e736f636b227d7d0a00
`);

const text = fc.string();
const calls = fc.record(
  {
    ContainerID: text,
    Netns: text,
    IfName: text,
    Args: text,
    Path: text,
    StdinData: fc.uint8Array({ maxLength: 300 }),
  },
  { requiredKeys: [] },
);
/** As they arrive: what is empty is not sent. */
const sent = (value: object) =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one.length !== 0));

test("what Go's plugin says is understood", () => {
  const decoder = new GobDecoder();
  decoder.push(FROM_GO);
  expect(decoder.next()).toEqual({ ServiceMethod: "DHCP.Allocate" });
  const { StdinData, ...call } = decoder.next() as Record<string, unknown>;
  expect(call).toEqual({ ContainerID: "c1", Netns: "/run/netns/c1", IfName: "eth0", Path: "/usr/lib/cni" });
  expect(JSON.parse(Buffer.from(StdinData as Uint8Array).toString())).toEqual({
    cniVersion: "1.0.0",
    name: "lan",
    type: "dhcp",
    ipam: { type: "dhcp", daemonSocketPath: "/tmp/gob.sock" },
  });
  expect(decoder.next()).toBeUndefined();
});

test("values come out as they went in, however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(calls, { maxLength: 4 }), fc.integer({ min: 1, max: 50 }), (values, piece) => {
      const encoder = new GobEncoder();
      const decoder = new GobDecoder();
      const stream = values.flatMap((one, index) => [
        ...encoder.encode(REQUEST, { ServiceMethod: "DHCP.Release", Seq: index * 1000 }),
        ...encoder.encode(ARGUMENTS, one),
      ]);
      const got: unknown[] = [];
      for (let at = 0; at < stream.length; at += piece) {
        decoder.push(Uint8Array.from(stream.slice(at, at + piece)));
        for (let value = decoder.next(); value !== undefined; value = decoder.next()) got.push(value);
      }
      const heads = values.map((_, index) => ({
        ServiceMethod: "DHCP.Release",
        ...(index && { Seq: index * 1000 }),
      }));
      expect(got).toEqual(values.flatMap((one, index) => [heads[index], sent(one)]));
    }),
  );
});

test("a result, and none, by way of Go's types", () => {
  const result = {
    cniVersion: "1.0.0",
    interfaces: [],
    ips: [{ address: "192.0.2.7/23", gateway: "192.0.2.1" }],
    routes: [
      { dst: "0.0.0.0/0", gw: "192.0.2.1", priority: 300, scope: undefined },
      { dst: "10.16.0.0/12", gw: "0.0.0.0", priority: undefined, scope: 253 },
    ],
    dns: { nameservers: ["192.0.2.53"], domain: "example.test", search: ["a.test"], options: undefined },
  };
  const encoder = new GobEncoder();
  const decoder = new GobDecoder();
  decoder.push(encoder.encode(RESULT, toGo(result)));
  expect(fromGo(decoder.next() as object, "1.0.0")).toEqual(result);
  decoder.push(encoder.encode(NOTHING, {}));
  expect(decoder.next()).toEqual({});
  // Go may keep an IPv4 address in sixteen bytes.
  const long = { IP: hex("00000000000000000000ffffc0000207"), Mask: hex("ffffff00") };
  expect(fromGo({ IPs: [{ Address: long }] }, "1.0.0").ips).toEqual([
    { address: "192.0.2.7/24", gateway: undefined },
  ]);
});

test("bytes that are no gob stream are refused, and nothing else happens", () => {
  const read = (bytes: Uint8Array) => {
    const decoder = new GobDecoder();
    decoder.push(bytes);
    try {
      while (decoder.next() !== undefined);
    } catch (error) {
      expect(error).toBeInstanceOf(GobError);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), read), { numRuns: 2000 });
  // Near enough to a stream to come far.
  const change = fc.tuple(fc.nat(FROM_GO.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), changes => {
      const bytes = FROM_GO.slice();
      for (const [at, byte] of changes) bytes[at] = byte;
      read(bytes);
    }),
    { numRuns: 2000 },
  );
});
