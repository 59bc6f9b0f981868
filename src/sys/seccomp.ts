/**
 * System calls that a process will never make, refused by the kernel (seccomp(2)). A list of what is forbidden, not of what
 * is allowed: a JavaScript engine's needs are wide and change with its version. What is listed fails with EPERM.
 */
import { type BpfProgram, encodeProgram, type Instruction } from "./bpf.ts";
import { confineLibc } from "./confine-libc.ts";
import { check, ERRNO } from "./errno.ts";

/** Numbers on x86-64 and arm64; -1 where there is no such call (asm/unistd_64.h, asm-generic/unistd.h). */
const NUMBERS = {
  // other processes
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  pidfd_getfd: [438, 438],
  kcmp: [312, 272],
  // mounts, roots, namespaces
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  unshare: [272, 97],
  setns: [308, 268],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  open_by_handle_at: [304, 265],
  name_to_handle_at: [303, 264],
  mknod: [133, -1],
  mknodat: [259, 33],
  // the kernel itself
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  personality: [135, 92],
  // the machine
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  quotactl: [179, 60],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  adjtimex: [159, 171],
  clock_adjtime: [305, 266],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  syslog: [103, 116],
  vhangup: [153, 58],
  iopl: [172, -1],
  ioperm: [173, -1],
  // programs
  execve: [59, 221],
  execveat: [322, 281],
  fork: [57, -1],
  vfork: [58, -1],
} as const satisfies Record<string, readonly [number, number]>;

type Name = keyof typeof NUMBERS;
const COLUMN = process.arch === "arm64" ? 1 : 0;
const ARCHITECTURE = process.arch === "arm64" ? 0xc00000b7 : 0xc000003e;
const SECCOMP = process.arch === "arm64" ? 277 : 317;
const SOCKET = process.arch === "arm64" ? 198 : 41;
const CLONE = process.arch === "arm64" ? 220 : 56;
const CLONE3 = 435;
const CLONE_THREAD = 0x00010000;

const PROGRAMS: readonly Name[] = ["execve", "execveat", "fork", "vfork"];

/** What is left to a process: everything but the above, or that and neither programs nor processes nor other sockets. */
export interface Restriction {
  /** It starts programs. */
  programs: boolean;
  /** Address families that socket(2) takes; absent: all. */
  families?: readonly number[];
}

/** Instructions of classic BPF (linux/bpf_common.h), and offsets into `struct seccomp_data`. */
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_OR_EQUAL = 0x35;
const JUMP_SET = 0x45;
const RETURN = 0x06;
const AT_NUMBER = 0;
const AT_ARCHITECTURE = 4;
const AT_FIRST_ARGUMENT = 16;
const ALLOW = 0x7fff0000;
const ERROR = 0x00050000;
/** Numbers from here on are x32's, another way to the same calls. */
const X32 = 0x40000000;

/** The filter as a program: each test is followed by its own verdict. */
export function filterProgram({ programs, families }: Restriction): Instruction[] {
  const refuse = (errno: number): Instruction => [RETURN, 0, 0, ERROR | errno];
  const program: Instruction[] = [
    [LOAD, 0, 0, AT_ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, ARCHITECTURE],
    refuse(ERRNO.EPERM),
    [LOAD, 0, 0, AT_NUMBER],
    [JUMP_GREATER_OR_EQUAL, 0, 1, X32],
    refuse(ERRNO.EPERM),
  ];
  for (const name of Object.keys(NUMBERS) as Name[]) {
    const number = NUMBERS[name][COLUMN]!;
    if (number < 0 || (programs && PROGRAMS.includes(name))) continue;
    program.push([JUMP_EQUAL, 0, 1, number], refuse(ERRNO.EPERM));
  }
  if (!programs) {
    // The C library asks clone3 first, whose flags a filter can't see, and takes ENOSYS for an answer.
    program.push([JUMP_EQUAL, 0, 1, CLONE3], refuse(ERRNO.ENOSYS));
    program.push([JUMP_EQUAL, 0, 4, CLONE], [LOAD, 0, 0, AT_FIRST_ARGUMENT], [JUMP_SET, 1, 0, CLONE_THREAD]);
    program.push(refuse(ERRNO.EPERM), [RETURN, 0, 0, ALLOW]);
  }
  if (families) {
    program.push([JUMP_EQUAL, 0, families.length + 2, SOCKET], [LOAD, 0, 0, AT_FIRST_ARGUMENT]);
    families.forEach((family, index) => {
      program.push([JUMP_EQUAL, families.length - index, 0, family]);
    });
    program.push(refuse(ERRNO.EAFNOSUPPORT));
  }
  program.push([RETURN, 0, 0, ALLOW]);
  return program;
}

/** The filter as the kernel reads it; kept here so that it lives through the call that points to it. */
let filter: BpfProgram | undefined;

/** Restricts every thread of this process and all that it starts, for ever. Needs `noNewPrivileges` before. */
export function restrictCalls(restriction: Restriction): void {
  filter = encodeProgram(filterProgram(restriction));
  const [SET_MODE_FILTER, ALL_THREADS] = [1, 1];
  check(confineLibc.syscall(SECCOMP, SET_MODE_FILTER, ALL_THREADS, filter.header), "seccomp");
}
