/** Classic BPF programs (linux/filter.h), for sockets and for seccomp. */
import { addressOf, bytes } from "./mem.ts";

/** A `struct sock_filter`. */
export type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

/** A `struct sock_fprog`, and the instructions that it points to: both must be kept for as long as the kernel may read them. */
export interface BpfProgram {
  header: Uint8Array;
  code: Uint8Array;
}

export function encodeProgram(instructions: readonly Instruction[]): BpfProgram {
  const code = bytes(instructions.length * 8);
  const view = new DataView(code.buffer);
  instructions.forEach(([operation, jumpTrue, jumpFalse, value], index) => {
    view.setUint16(index * 8, operation, true);
    view.setUint8(index * 8 + 2, jumpTrue);
    view.setUint8(index * 8 + 3, jumpFalse);
    view.setUint32(index * 8 + 4, value, true);
  });
  const header = bytes(16);
  const headerView = new DataView(header.buffer);
  headerView.setUint16(0, instructions.length, true);
  headerView.setBigUint64(8, BigInt(addressOf(code)), true);
  return { header, code };
}
