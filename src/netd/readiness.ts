/** What epoll(7) tells of a socket, in the stack's words. */
import { READY } from "../stack/outside.ts";
import { EPOLL } from "../sys/epoll.ts";

/** What sockets are registered for. */
export const ALL_EDGES = EPOLL.IN | EPOLL.PRI | EPOLL.OUT | EPOLL.RDHUP | EPOLL.ET;

/** EPOLL bits as the stack's READY bits. */
export function readiness(events: number): number {
  let ready = 0;
  if (events & EPOLL.IN) ready |= READY.READABLE;
  if (events & EPOLL.PRI) ready |= READY.READABLE | READY.URGENT;
  if (events & EPOLL.OUT) ready |= READY.WRITABLE;
  if (events & EPOLL.RDHUP) ready |= READY.PEER_CLOSED;
  if (events & EPOLL.ERR) ready |= READY.ERROR;
  // Both directions are over: there is an end to read, and no use in waiting for room.
  if (events & EPOLL.HUP) ready |= READY.READABLE | READY.WRITABLE | READY.PEER_CLOSED;
  return ready;
}
