/**
 * The network helper: the process that a user's command has for what must be done inside network namespaces.
 *
 * A process of a user's namespace that leaves the host's network namespace can't go back, since the host's belongs to the
 * initial user namespace. So the command stays and this process goes: it lives in a network namespace of the user's, can
 * enter every other of them and come back. It ends with its command.
 */
import { writeFileSync } from "node:fs";
import { BugError, hasCode } from "../base/errors.ts";
import { closeFd, moveFd, O, openFd } from "../sys/fd.ts";
import * as netns from "../sys/netns.ts";
import { ignoreSignals, SIGNALS, setProcessName } from "../sys/process.ts";
import { receiveFds, sendFds } from "../sys/scm-rights.ts";
import { send } from "../sys/socket.ts";
import {
  decode,
  encode,
  HELPER_FD,
  type HelperAnswer,
  type HelperRequest,
  MAX_LOCKS,
  MAX_MESSAGE,
  type Numbered,
  recordOf,
} from "./helper-protocol.ts";
import type { Home } from "./home.ts";
import { bringLoopbackUp } from "./loopback.ts";
import type { NetworkService } from "./service.ts";

/** Serves until the command closes its end; gives the exit code. */
export async function networkHelperMain(): Promise<number> {
  setProcessName("portolan-net");
  moveFd(HELPER_FD.MESSAGES, 2);
  // Signals of a terminal go to the whole group; what is to be undone is the command's to say.
  ignoreSignals([SIGNALS.INT!, SIGNALS.TERM!, SIGNALS.HUP!, SIGNALS.QUIT!]);
  const helper = new Helper();
  try {
    for (;;) {
      // With it come the command's locks, which are held here as well while the request is carried out.
      const { data, fds: locks } = receiveFds(HELPER_FD.REQUESTS, MAX_LOCKS, MAX_MESSAGE);
      if (data.length === 0) return 0;
      const said = await answer(helper, decode<Numbered>(data));
      for (const lock of locks) closeFd(lock);
      send(HELPER_FD.REQUESTS, encode(said));
    }
  } catch (error) {
    // The command is gone and has left an answer unread.
    if (hasCode(error, "ECONNRESET", "EPIPE")) return 0;
    throw error;
  }
}

async function answer(helper: Helper, { seq, ...request }: Numbered): Promise<HelperAnswer> {
  try {
    return { seq, value: (await helper.serve(request)) ?? null };
  } catch (error) {
    return { seq, error: recordOf(error) };
  }
}

class Helper {
  /** This process has left the network namespace that it was started in. */
  private isAway = false;
  private home: Home | undefined;
  private networks: NetworkService | undefined;

  async serve(request: HelperRequest): Promise<unknown> {
    switch (request.do) {
      case "createNetns":
        return this.createNetns(request.path);
      case "createPins": {
        const { createPins } = await import("./pins.ts");
        // Nobody but this process minds where it is.
        return createPins(request.pins, true);
      }
      case "openTap": {
        const { openPlannedTap } = await import("./tap.ts");
        return handOver([this.within(request.path, () => openPlannedTap(request.plan))]);
      }
      case "openTransparent": {
        const { openTransparent } = await import("./transparent.ts");
        return handOver(this.within(request.path, () => openTransparent(request.families)));
      }
      case "enterHome": {
        const [{ Home }, { NetworkService }] = await Promise.all([
          import("./home.ts"),
          import("./service.ts"),
        ]);
        // A new one each time: networks come and go.
        this.networks = new NetworkService(request.service);
        this.home ??= new Home();
        this.isAway = true;
        return this.home.enter(request.paths, request.create);
      }
      case "attach":
        return this.service.attach(request.request);
      case "detach":
        await this.service.detach(request.containerId, request.begun, request.path);
        return this.service.hasAttachments();
      case "refresh":
        return this.service.refresh(request.request);
      case "removeBridge": {
        const { removeBridge } = await import("./remove-bridge.ts");
        return removeBridge(request.name);
      }
      case "bindResolver": {
        const { bindResolver } = await import("../netd/port-sockets.ts");
        return handOver(bindResolver(request.addresses));
      }
      case "view": {
        const { path, firewall, directory } = request;
        const { readNamespaceView } = await import("./namespace-view.ts");
        const view = this.within(path, () => readNamespaceView({ firewall }));
        const file = openFd(directory, O.TMPFILE | O.RDWR);
        writeFileSync(file, JSON.stringify(view));
        return handOver([file]);
      }
      case "leaveHome":
        return this.home?.leave();
    }
  }

  private get service(): NetworkService {
    if (!this.networks) throw new BugError("the network helper is not in the home namespace");
    return this.networks;
  }

  /** The first one that it makes is where this process lives from then on. */
  private createNetns(path: string): void {
    if (this.isAway) netns.create(path);
    else {
      netns.createAndStay(path);
      this.isAway = true;
    }
    this.within(path, bringLoopbackUp);
  }

  private within<T>(path: string, fn: () => T): T {
    if (this.isAway) return netns.run(path, fn as () => never) as T;
    const target = openFd(path, O.RDONLY);
    try {
      netns.enter(target);
    } finally {
      closeFd(target);
    }
    this.isAway = true;
    return fn();
  }
}

/** Descriptors for the command, closed here; how many there are. */
function handOver(fds: readonly number[]): number {
  sendFds(HELPER_FD.DESCRIPTORS, fds);
  for (const fd of fds) closeFd(fd);
  return fds.length;
}
