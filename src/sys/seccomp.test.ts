import { expect, test } from "bun:test";
import { filterProgram, type Restriction } from "./seccomp.ts";

const X64 = process.arch !== "arm64";
const ARCHITECTURE = X64 ? 0xc000003e : 0xc00000b7;
const ALLOW = 0x7fff0000;
const refused = (errno: number) => 0x00050000 | errno;

/** What the filter says to a call: a small machine for the five instructions that it uses. */
function verdict(
  restriction: Restriction,
  number: number,
  argument = 0,
  architecture = ARCHITECTURE,
): number {
  const program = filterProgram(restriction);
  let accumulator = 0;
  for (let at = 0; at < program.length; at++) {
    const [code, yes, no, value] = program[at]!;
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = value === 0 ? number : value === 4 ? architecture : argument;
    else {
      const holds =
        code === 0x15
          ? accumulator === value
          : code === 0x35
            ? accumulator >= value
            : (accumulator & value) !== 0;
      at += holds ? yes : no;
    }
  }
  throw new Error("the program ran off its end");
}

const supervisor: Restriction = { programs: true };
const dataPlane: Restriction = { programs: false, families: [2, 10] };
const [READ, MOUNT, EXECVE, SOCKET, CLONE] = X64 ? [0, 165, 59, 41, 56] : [63, 40, 221, 198, 220];

test("what is not listed is allowed", () => {
  for (const restriction of [supervisor, dataPlane]) expect(verdict(restriction, READ!)).toBe(ALLOW);
});

test("mounts are for nobody, programs for the supervisor", () => {
  for (const restriction of [supervisor, dataPlane]) expect(verdict(restriction, MOUNT!)).toBe(refused(1));
  expect(verdict(supervisor, EXECVE!)).toBe(ALLOW);
  expect(verdict(dataPlane, EXECVE!)).toBe(refused(1));
});

test("threads may be made, processes not", () => {
  expect(verdict(dataPlane, CLONE!, 0x3d0f00)).toBe(ALLOW);
  expect(verdict(dataPlane, CLONE!, 0x01200011)).toBe(refused(1));
  expect(verdict(dataPlane, 435)).toBe(refused(38));
  expect(verdict(supervisor, CLONE!, 0x01200011)).toBe(ALLOW);
});

test("sockets of the families that were named, and no others", () => {
  expect([1, 2, 10, 16, 17].map(family => verdict(dataPlane, SOCKET!, family))).toEqual([
    refused(97),
    ALLOW,
    ALLOW,
    refused(97),
    refused(97),
  ]);
  expect(verdict(supervisor, SOCKET!, 1)).toBe(ALLOW);
});

test("other ways into the kernel are closed", () => {
  expect(verdict(supervisor, READ!, 0, 0x40000003)).toBe(refused(1));
  expect(verdict(supervisor, 0x40000000 + READ!)).toBe(refused(1));
});
