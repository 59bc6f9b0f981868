/** The terminal behind a descriptor (termios(3), ioctl_tty(2)). */
import { ioctl } from "./fd.ts";
import { bytes } from "./mem.ts";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
/** The kernel's `struct termios`: four flag words, the line discipline, 19 control characters. */
const SIZE = 36;
const IFLAG = 0;
const OFLAG = 4;
const CFLAG = 8;
const LFLAG = 12;
const CC = 17;
const VTIME = 5;
const VMIN = 6;

/** IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON */
const INPUT_COOKING = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000;
const OPOST = 0o1;
/** ISIG | ICANON | ECHO | ECHONL | IEXTEN */
const LINE_COOKING = 0o1 | 0o2 | 0o10 | 0o100 | 0o100000;
const PARENB = 0o400;
const CS8 = 0o60;

/**
 * Makes the terminal `fd` pass every byte both ways untouched (cfmakeraw(3)); gives a function that sets it back.
 *
 * Node's `setRawMode` leaves the output cooked: a full-screen program that moves down a column by a bare line feed
 * would be sent to the line's start. Throws SysError when `fd` is no terminal.
 */
export function makeRaw(fd: number): () => void {
  const before = bytes(SIZE);
  ioctl(fd, TCGETS, before);
  const raw = bytes(SIZE);
  raw.set(before);
  const view = new DataView(raw.buffer);
  const change = (at: number, clear: number, set = 0) =>
    view.setUint32(at, (view.getUint32(at, true) & ~clear) | set, true);
  change(IFLAG, INPUT_COOKING);
  change(OFLAG, OPOST);
  change(LFLAG, LINE_COOKING);
  change(CFLAG, PARENB, CS8);
  raw[CC + VMIN] = 1;
  raw[CC + VTIME] = 0;
  ioctl(fd, TCSETS, raw);
  return () => {
    ioctl(fd, TCSETS, before);
  };
}
