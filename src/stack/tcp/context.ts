/** What all connections of a stack share. */
import type { StackConfig } from "../config.ts";
import type { FlowTable } from "../flow-table.ts";
import type { IpOutput } from "../ip-output.ts";
import type { Outside } from "../outside.ts";
import type { Timers } from "../timers.ts";
import type { Connection } from "./connection.ts";
import type { InitialSequence } from "./isn.ts";
import type { ErrorReporter, RoutePolicy } from "./policy.ts";
import type { Budget, RingPool } from "./ring.ts";

export interface TcpContext {
  readonly config: StackConfig;
  readonly outside: Outside;
  readonly output: IpOutput;
  readonly policy: RoutePolicy;
  readonly errors: ErrorReporter;
  readonly timers: Timers;
  /** Gives up a descriptor that can be done without; false when there is none. */
  readonly spare: () => boolean;
  readonly flows: FlowTable<Connection>;
  /** By handle of the host's socket. */
  readonly byHandle: (Connection | undefined)[];
  readonly budget: Budget;
  readonly rings: RingPool;
  readonly sequences: InitialSequence;
  readonly counters: TcpCounters;
  /** The time of the call that is being served. */
  now: number;
  /** Connections that `flush` sees to. */
  readonly queue: Connection[];
  /** Calls back into the connection's timer. */
  readonly expire: (connection: Connection, now: number) => void;
  /** Those in TIME-WAIT, the oldest first. */
  readonly waiting: Set<Connection>;
}

/** What happened since the stack began. */
export class TcpCounters {
  segmentsIn = 0;
  segmentsOut = 0;
  /** Frames that were sent again. */
  retransmits = 0;
  timeouts = 0;
  fastRecoveries = 0;
  badSegments = 0;
  challenges = 0;
  resetsOut = 0;
  /** Connections that were refused because of `limits.tcpFlows`, of `limits.totalBuffer`, and for want of sockets. */
  refusedFlows = 0;
  refusedBuffer = 0;
  refusedSockets = 0;
}
