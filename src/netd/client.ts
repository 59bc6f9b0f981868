/**
 * How a command gives orders to its user's network service, and starts it where it is wanted and not there.
 *
 * Who finds nobody listening binds the socket himself, under a lock, and starts the service with it: whoever comes after
 * is connected already, and waits for nothing but the first answer.
 */
import { mkdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { oneLine, UserError } from "../base/errors.ts";
import { selfCommand } from "../base/self.ts";
import { closeFd, O, openFd } from "../sys/fd.ts";
import { withLock } from "../sys/flock.ts";
import type {
  KeyedOrder,
  NameSettings,
  Order,
  PortSettings,
  ResolverSettings,
  TapSettings,
} from "./control.ts";
import { Lost, ServiceConnection } from "./service-connection.ts";
import type { ServiceRequest } from "./service-message.ts";
import { bindService, connectService, LOG_NAME } from "./service-socket.ts";

const LOCK = "locks/netd";
/** Connections that are lost before the first answer: the service was just ending, or does not start. */
const MAX_TRIES = 5;

export interface OpenOptions {
  /** Whether the service is started where it is not there. */
  start: boolean;
  /** What starts this program; where nothing is said, the program that runs. */
  command?: readonly string[];
}

export class NetdClient implements Disposable {
  private constructor(
    private readonly runRoot: string,
    private readonly options: OpenOptions,
    private connection: ServiceConnection | undefined,
  ) {}

  /** Connects to the service at `<runRoot>/netd.sock`; undefined when it is not there and is not to be started. */
  static async open(runRoot: string, options: OpenOptions): Promise<NetdClient | undefined> {
    const connection = await connected(runRoot, options);
    return connection && new NetdClient(runRoot, options, connection);
  }

  /** Serves a tap from now on; in place of the one of that key, if there is one. `tap` stays the caller's to close. */
  async addTap(key: string, settings: TapSettings, tap: number): Promise<void> {
    await this.ask({ op: "tap", key, settings }, [tap]);
  }

  /**
   * Passes callers of `listeners` on to the guest at the tap `tapKey`: sockets made by `bindPorts`, one to a port, up to
   * MAX_DESCRIPTORS of them. They stay the caller's to close; until they are closed everywhere the ports are taken.
   */
  async addPorts(
    key: string,
    tapKey: string,
    settings: PortSettings,
    listeners: readonly number[],
  ): Promise<void> {
    await this.ask({ op: "ports", key, tap: tapKey, settings }, listeners);
  }

  /** Lets callers of TCP ports reach the guest at `tapKey` by sockets of its own namespace; these stay the caller's to close. */
  async addTransparent(key: string, tapKey: string, sockets: readonly number[]): Promise<void> {
    await this.ask({ op: "transparent", key, tap: tapKey }, sockets);
  }

  /** Answers the network's containers at its gateway; `sockets` as for the order, the caller's to close. */
  async addResolver(key: string, settings: ResolverSettings, sockets: readonly number[]): Promise<void> {
    await this.ask({ op: "resolver", key, settings }, sockets);
  }

  /** Lets the resolver of its network tell a container's names. The resolver goes when the last of them is removed. */
  async addName(key: string, settings: NameSettings): Promise<void> {
    await this.ask({ op: "name", key, settings });
  }

  /** Takes back an order, and every order that hangs on it; quiet when it was never given. */
  async remove(key: string): Promise<void> {
    await this.ask({ op: "remove", key });
  }

  /** The orders in force, the oldest first. */
  async list(): Promise<{ key: string; order: Order }[]> {
    const orders = await this.ask({ op: "list" });
    return orders.map(order => ({ key: order.key, order }));
  }

  /**
   * A service that is killed with a request under way is asked once more, or its successor: an order given twice is given
   * once, and where there is no service there is nothing to take back.
   */
  private async ask(request: ServiceRequest, fds: readonly number[] = []): Promise<KeyedOrder[]> {
    try {
      if (this.connection && !this.connection.over) return await this.connection.ask(request, fds);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
    }
    this.connection?.close();
    const adds = request.op !== "remove" && request.op !== "list";
    this.connection = await connected(this.runRoot, { ...this.options, start: this.options.start && adds });
    if (!this.connection && !adds) return [];
    try {
      if (this.connection) return await this.connection.ask(request, fds);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
    }
    throw new UserError("the network service ended before it had answered", {
      hint: `its log is ${join(this.runRoot, LOG_NAME)}`,
    });
  }

  [Symbol.dispose](): void {
    this.connection?.close();
    this.connection = undefined;
  }
}

/** A connection on which the service has answered. */
async function connected(
  runRoot: string,
  { start, command = selfCommand() }: OpenOptions,
): Promise<ServiceConnection | undefined> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const fd = connectService(runRoot) ?? (start ? startService(runRoot, command) : undefined);
    if (fd === undefined) return undefined;
    const connection = new ServiceConnection(fd);
    try {
      await connection.ask({ op: "hello" });
      return connection;
    } catch (error) {
      connection.close();
      if (!(error instanceof Lost)) throw error;
    }
  }
  if (!start) return undefined;
  const log = join(runRoot, LOG_NAME);
  throw new UserError(`the network service does not start: ${lastLine(log)}`, { hint: `its log is ${log}` });
}

/** Starts the service, unless somebody else has meanwhile; gives a connection to it. */
function startService(runRoot: string, command: readonly string[]): number | undefined {
  mkdirSync(runRoot, { recursive: true, mode: 0o700 });
  return withLock(join(runRoot, LOCK), () => {
    const other = connectService(runRoot);
    if (other !== undefined) return other;
    const listening = bindService(runRoot);
    const log = openFd(join(runRoot, LOG_NAME), O.WRONLY | O.CREAT | O.TRUNC | O.APPEND);
    try {
      Bun.spawn([...command, "__netd-service", realpathSync(runRoot)], {
        argv0: "netd-service",
        stdio: ["ignore", log, log, listening],
        env: {},
        cwd: "/",
        detached: true,
      }).unref();
      return connectService(runRoot);
    } finally {
      closeFd(log);
      closeFd(listening);
    }
  });
}

function lastLine(log: string): string {
  const lines = readFileSync(log, "utf8").trim().split("\n");
  return oneLine(lines.at(-1)!) || "it says nothing";
}
