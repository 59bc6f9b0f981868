/** ICMP errors from the guest's side about our segments, believed only if they quote what is on its way (RFC 5927). */
import { type Connection, RECOVERY, STATE } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { enqueue, guestAborted } from "./lifecycle.ts";
import { seqGe, seqLt } from "./sequence.ts";

/** Smallest MTUs that a path may claim (RFC 1191 and its attackers; RFC 8200, 5). */
const LEAST_MTU = { 4: 552, 6: 1280 } as const;

/** A hop in the guest takes only packets of `mtu` bytes: smaller segments from now on, and once more what is lost. */
export function pathTooNarrow(tcp: TcpContext, connection: Connection, sequence: number, mtu: number): void {
  const { family } = connection;
  const fits = Math.max(LEAST_MTU[family], mtu) - (family === 4 ? 40 : 60);
  if (!onItsWay(connection, sequence) || fits >= connection.mss || connection.state < STATE.ESTABLISHED)
    return;
  connection.mss = fits;
  connection.recovery = RECOVERY.TIMEOUT;
  connection.recover = connection.sndNxt;
  connection.lostEdge = connection.sndNxt;
  connection.highRxt = connection.sndUna;
  connection.timedAt = -1;
  enqueue(tcp, connection);
}

/** Nothing is there: the end of an attempt; an established connection goes on (RFC 5927, 5.2). */
export function unreachableFromGuest(tcp: TcpContext, connection: Connection, sequence: number): void {
  if (connection.state === STATE.SYN_SENT && sequence === connection.iss) guestAborted(tcp, connection);
}

function onItsWay(connection: Connection, sequence: number): boolean {
  return seqGe(sequence, connection.sndUna) && seqLt(sequence, connection.sndNxt);
}
