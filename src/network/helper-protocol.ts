/**
 * What a command and its network helper say to each other: one JSON object to a packet of a SOCK_SEQPACKET pair, each
 * request answered under its number, in order. Descriptors go by a second pair, and are sent before the answer that tells
 * of them.
 */
import { BugError, SysError, UserError } from "../base/errors.ts";
import type { HomePaths } from "./home.ts";
import type { Attachment, AttachRequest, RefreshRequest, ServiceOptions } from "./service.ts";
import type { Pins } from "./setup.ts";
import type { UserModePlan } from "./user-mode.ts";

export type HelperRequest =
  | { do: "createNetns"; path: string }
  | { do: "createPins"; pins: Pins }
  | { do: "openTap"; path: string; plan: UserModePlan }
  | { do: "openTransparent"; path: string; families: readonly (4 | 6)[] }
  /** The next ones, up to `leaveHome`, are done in the home namespace. */
  | { do: "enterHome"; paths: HomePaths; create: boolean; service: ServiceOptions }
  | { do: "attach"; request: AttachRequest }
  | {
      do: "detach";
      containerId: string;
      begun: readonly { network: string; ifName: string }[];
      path: string;
    }
  | { do: "refresh"; request: RefreshRequest }
  | { do: "removeBridge"; name: string }
  | { do: "bindResolver"; addresses: readonly string[] }
  /** Answered with a file without a name, made in `directory`, that has the namespace's view as JSON: it may be long. */
  | { do: "view"; path: string; firewall: boolean; directory: string }
  | { do: "leaveHome" };

/** What each request is answered with. */
export interface HelperAnswers {
  createNetns: null;
  createPins: null;
  /** How many descriptors came by the second pair. */
  openTap: 1;
  openTransparent: number;
  bindResolver: number;
  view: 1;
  /** The home namespace was there already. */
  enterHome: boolean;
  attach: Attachment;
  /** Some container is on some network still. */
  detach: boolean;
  refresh: null;
  removeBridge: null;
  leaveHome: null;
}

export type Numbered = HelperRequest & { seq: number };

export type HelperAnswer = { seq: number } & ({ value: unknown } | { error: ErrorRecord });

/** Where the helper finds its sockets, and the command's standard error. */
export const HELPER_FD = { REQUESTS: 3, DESCRIPTORS: 4, MESSAGES: 5 } as const;
/** Bytes of a message, far above what the longest takes. */
export const MAX_MESSAGE = 1 << 17;
/** Locks that go with a request, those that were taken last; the kernel carries 253 descriptors (SCM_MAX_FD). */
export const MAX_LOCKS = 250;

/** An error on its way to another process. */
interface ErrorRecord {
  name: string;
  message: string;
  exitCode?: number;
  status?: number;
  hint?: string | undefined;
  syscall?: string;
  errno?: number;
  code?: string;
  subject?: string;
}

export function recordOf(error: unknown): ErrorRecord {
  if (error instanceof UserError) {
    const { name, message, exitCode, status, hint } = error;
    return { name, message, exitCode, status, hint };
  }
  if (error instanceof SysError) {
    const { name, message, syscall, errno, code, subject } = error;
    return { name, message, syscall, errno, code, subject };
  }
  return error instanceof Error
    ? { name: error.name, message: error.message }
    : { name: "Error", message: String(error) };
}

/** The error as this process knows it, with the message that it had there. */
export function errorOf(record: ErrorRecord): Error {
  const { name, message, exitCode, status, hint } = record;
  switch (name) {
    case "UserError":
      return new UserError(message, {
        ...(exitCode === undefined ? {} : { exitCode }),
        ...(status === undefined ? {} : { status }),
        ...(hint === undefined ? {} : { hint }),
      });
    case "SysError": {
      const { syscall = "", errno = 0, code = "", subject = "" } = record;
      const error = new SysError(syscall, errno, code, subject);
      error.message = message;
      return error;
    }
    case "BugError":
      return new BugError(message);
    default:
      return new Error(message);
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encode(message: Numbered | HelperAnswer): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(message));
}

export function decode<T extends Numbered | HelperAnswer>(data: Uint8Array): T {
  return JSON.parse(decoder.decode(data)) as T;
}
