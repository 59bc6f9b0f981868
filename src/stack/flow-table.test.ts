import { expect, test } from "bun:test";
import fc from "fast-check";
import { FlowTable } from "./flow-table.ts";

interface Key {
  family: 4 | 6;
  source: number;
  destination: number;
  sourcePort: number;
  destinationPort: number;
}

const secret = Uint8Array.from({ length: 16 }, (_, index) => index * 7);

/** Few values, so that keys meet and differ in one part only. */
const keys: fc.Arbitrary<Key> = fc.record({
  family: fc.constantFrom(4 as const, 6 as const),
  source: fc.integer({ min: 0, max: 3 }),
  destination: fc.integer({ min: 0, max: 3 }),
  sourcePort: fc.constantFrom(0, 1, 80, 0x8000, 0xffff),
  destinationPort: fc.constantFrom(0, 1, 80, 0x8000, 0xffff),
});

/** The address lies somewhere in a larger buffer, as in a packet. */
function address(family: 4 | 6, last: number): Uint8Array {
  const bytes = new Uint8Array(3 + 16);
  if (family === 6) bytes.set([0xfd, 0, 0, 0, 0xff, 0xff], 3);
  bytes[3 + (family === 4 ? 3 : 15)] = last;
  return bytes;
}

const find = <F extends object>(table: FlowTable<F>, key: Key) =>
  table.find(
    key.family,
    address(key.family, key.source),
    3,
    address(key.family, key.destination),
    3,
    key.sourcePort,
    key.destinationPort,
  );
const add = <F extends object>(table: FlowTable<F>, key: Key, flow: F) =>
  table.add(
    key.family,
    address(key.family, key.source),
    3,
    address(key.family, key.destination),
    3,
    key.sourcePort,
    key.destinationPort,
    flow,
  );

test("finds what a map finds, through growth and removals", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), keys), { maxLength: 200 }),
      fc.array(keys, { maxLength: 20 }),
      (steps, probes) => {
        const table = new FlowTable<{ entry: number }>(secret, 4);
        const model = new Map<string, { entry: number }>();
        for (const [remove, key] of steps) {
          const name = JSON.stringify(key);
          const known = model.get(name);
          expect(find(table, key)).toBe(known as { entry: number });
          if (known === undefined) {
            const flow = { entry: -1 };
            flow.entry = add(table, key, flow);
            model.set(name, flow);
          } else if (remove) {
            table.remove(known.entry);
            model.delete(name);
          }
          expect(table.size).toBe(model.size);
        }
        for (const key of probes)
          expect(find(table, key)).toBe(model.get(JSON.stringify(key)) as { entry: number });
        const seen = new Set<object>();
        table.forEach(flow => {
          seen.add(flow);
        });
        expect(seen).toEqual(new Set(model.values()));
      },
    ),
  );
});

test("an IPv4 address and its v4-mapped IPv6 address are two", () => {
  const table = new FlowTable<{ name: string }>(secret);
  const v4 = Uint8Array.of(10, 0, 2, 100);
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 2, 100);
  table.add(4, v4, 0, v4, 0, 1, 2, { name: "v4" });
  table.add(6, mapped, 0, mapped, 0, 1, 2, { name: "v6" });
  expect(table.find(4, v4, 0, v4, 0, 1, 2)?.name).toBe("v4");
  expect(table.find(6, mapped, 0, mapped, 0, 1, 2)?.name).toBe("v6");
});

test("every flow may be removed while it is visited", () => {
  const table = new FlowTable<{ entry: number }>(secret);
  for (let port = 0; port < 1000; port++) {
    const flow = { entry: -1 };
    flow.entry = add(
      table,
      { family: 4, source: 1, destination: 2, sourcePort: port, destinationPort: 80 },
      flow,
    );
  }
  let visited = 0;
  table.forEach(flow => {
    visited++;
    table.remove(flow.entry);
  });
  expect(visited).toBe(1000);
  expect(table.size).toBe(0);
});
