/**
 * How fast a megabyte goes through, by loss, in virtual time: a table of record. A change of TCP that moves a figure shows
 * here. Kilobytes a second; link of 1 ms each way, MTU 1500, SACK and timestamps unless told.
 */
import { expect, test } from "bun:test";
import { World, type WorldOptions } from "./world.ts";

const BYTES = 1 << 20;
const LOSSES = [0, 0.001, 0.01, 0.05, 0.1];

function speed(loss: number, direction: "out" | "in", change: Partial<WorldOptions>): number {
  const world = new World({
    seed: 42,
    family: 4,
    mtu: 1500,
    offload: false,
    link: { delay: 1, jitter: 0, loss, duplication: 0 },
    piece: 1 << 20,
    pace: 0,
    flowBuffer: 1 << 20,
    hostClosesLast: false,
    published: false,
    ...change,
    peer: {
      toSend: direction === "out" ? BYTES : 0,
      toReceive: direction === "in" ? BYTES : 0,
      buffer: 1 << 20,
      flight: 1 << 20,
      closesLast: direction === "in",
      ...change.peer,
    },
  });
  expect(world.run()).toBe(true);
  world.verify();
  return Math.round(BYTES / world.finishedAt);
}

test("throughput by loss", () => {
  const rows: [string, "out" | "in", Partial<WorldOptions>][] = [
    ["to the guest", "in", {}],
    ["to the guest, no SACK", "in", { peer: { sack: false } }],
    [
      "to the guest, nothing but MSS",
      "in",
      { peer: { sack: false, timestamps: false, windowScale: undefined } },
    ],
    ["to the guest, super-frames", "in", { offload: true }],
    ["to the guest, MTU 65520", "in", { mtu: 65_520 }],
    ["from the guest", "out", {}],
    ["from the guest, MTU 65520", "out", { mtu: 65_520 }],
  ];
  const table = [
    ["", ...LOSSES.map(loss => `${loss * 100} %`)],
    ...rows.map(([name, direction, change]) => [
      name,
      ...LOSSES.map(loss => String(speed(loss, direction, change))),
    ]),
  ]
    .map(([name, ...cells]) => name!.padEnd(32) + cells.map(cell => cell.padStart(8)).join(""))
    .join("\n");
  expect(`\n${table}\n`).toMatchSnapshot();
});
