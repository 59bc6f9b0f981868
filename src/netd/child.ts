/** The data plane as a supervisor's child: takes orders at descriptor 3 until that ends. */
import { errorText, UserError } from "../base/errors.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ignoreSignals, SIGNALS, setParentDeathSignal, setProcessName } from "../sys/process.ts";
import { receiveFds } from "../sys/scm-rights.ts";
import { restrictCalls } from "../sys/seccomp.ts";
import { AF, send } from "../sys/socket.ts";
import {
  type Answer,
  decodeMessage,
  encodeMessage,
  MAX_DESCRIPTORS,
  MAX_MESSAGE,
  type Request,
  SECCOMP,
} from "./control.ts";
import { DataPlane } from "./data-plane.ts";
import { Orders } from "./orders.ts";

const CONTROL = 3;

/** Serves until the supervisor is gone; gives the exit code. */
export function dataPlaneMain(argv: readonly string[]): number {
  setProcessName("netd");
  setParentDeathSignal(SIGNALS.KILL!);
  // Signals of a terminal go to the whole group; when to end is the supervisor's to say.
  ignoreSignals([SIGNALS.INT!, SIGNALS.TERM!, SIGNALS.HUP!]);
  using plane = new DataPlane();
  if (argv.includes(SECCOMP)) restrictCalls({ programs: false, families: [AF.INET, AF.INET6] });
  const orders = new Orders(plane, gone => send(CONTROL, encodeMessage({ gone })));
  plane.watch(CONTROL, EPOLL.IN, () => {
    const { data, fds } = receiveFds(CONTROL, MAX_DESCRIPTORS, MAX_MESSAGE);
    if (data.length === 0) plane.stop();
    else send(CONTROL, encodeMessage(obey(orders, decodeMessage<Request>(data), fds)));
  });
  plane.run();
  return 0;
}

/** An order that can't be carried out is answered with the reason; its descriptors are closed. */
function obey(orders: Orders, { seq, ...order }: Request, fds: readonly number[]): Answer {
  try {
    orders.obey(order, fds);
    return { seq };
  } catch (error) {
    const hint = error instanceof UserError && error.hint ? ` (${error.hint})` : "";
    return { seq, error: `${errorText(error)}${hint}` };
  }
}
