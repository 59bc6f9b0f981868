/** dhcp: addresses from the DHCP server of the container's wire. A daemon (`../dhcp/`) keeps the leases, ours or Go's. */
import { resolve } from "node:path";
import { errorText } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import { callDaemon, NoDaemon } from "../dhcp/call.ts";
import { readWanted } from "../dhcp/options.ts";
import { holderName, Records } from "../dhcp/record.ts";
import { type CommandArguments, fromGo, SOCKET_PATH } from "../dhcp/rpc.ts";
import { isServed, leasesBeside } from "../dhcp/socket.ts";
import { CNI_ERROR, CniError, type PluginConf, type Result } from "../types.ts";
import { checkFields, type Field } from "./field.ts";
import type { Plugin, PluginContext, StatusContext } from "./plugin.ts";

const FIELDS: readonly Field[] = [
  {
    name: "daemonSocketPath",
    type: "string",
    default: SOCKET_PATH,
    text: "Where the daemon listens, as its flag `-socketpath` says.",
  },
  {
    name: "request",
    type: "objects",
    text: "Options that the server is asked for: `option`, a number or one of `subnet-mask`, `routers`, `host-name`, `user-class`, `vendor-class-identifier`, `dhcp-client-identifier`. `skipDefault` in any of them: for nothing but these.",
  },
  {
    name: "provide",
    type: "objects",
    text: "Options that the server is told: `option` as above, and `value`, or `fromArg`, the key of CNI_ARGS that has the value.",
  },
  {
    name: "priority",
    type: "integer",
    text: "The metric of the routes that the server gives.",
  },
];

const ipamOf = ({ conf }: { conf: PluginConf }): Record<string, unknown> => conf.ipam ?? {};
const socketOf = (context: { conf: PluginConf }) =>
  (ipamOf(context).daemonSocketPath as string | undefined) || SOCKET_PATH;

/** A call as the plugin would get it itself. */
function argumentsOf({ conf, network, cniVersion, args, ...call }: PluginContext): CommandArguments {
  const stdin = JSON.stringify({ ...conf, name: network, cniVersion });
  return {
    ContainerID: call.containerId,
    // The daemon has a working directory of its own.
    Netns: call.netns && resolve(call.netns),
    IfName: call.ifName,
    Args: Object.entries(args)
      .map(([key, value]) => `${key}=${value}`)
      .join(";"),
    StdinData: new TextEncoder().encode(stdin),
  };
}

async function allocate(context: PluginContext): Promise<Result> {
  const ipam = ipamOf(context);
  checkFields(FIELDS, ipam as PluginConf);
  readWanted(ipam, context.args);
  const answer = await callDaemon(socketOf(context), "DHCP.Allocate", argumentsOf(context));
  const result = fromGo(answer, context.cniVersion);
  if (result.ips.length === 0) throw new CniError(CNI_ERROR.INTERNAL, "the DHCP daemon gave no address");
  const { priority } = ipam;
  // A daemon of Go's before 1.6 knows of no metrics.
  if (typeof priority === "number") result.routes = result.routes.map(one => ({ ...one, priority }));
  return result;
}

export const dhcp: Plugin = {
  fields: FIELDS,

  add: allocate,

  async del(context) {
    const path = socketOf(context);
    try {
      await callDaemon(path, "DHCP.Release", argumentsOf(context));
    } catch (error) {
      if (!(error instanceof NoDaemon)) throw error;
      // Nobody keeps the lease, so it ends by itself; the next daemon is not to go on with it.
      new Records(leasesBeside(path)).remove(
        holderName(context.containerId, context.network, context.ifName),
      );
      log.warn(`${errorText(error)}: the lease is left to run out`);
    }
  },

  async check(context) {
    const had = context.prevResult?.ips.map(one => one.address) ?? [];
    const [{ address }] = (await allocate(context)).ips as [{ address: string }];
    if (had.length === 0 || had.includes(address)) return;
    // There was no lease, or the daemon would have told that one's address: this one is nobody's.
    await callDaemon(socketOf(context), "DHCP.Release", argumentsOf(context));
    throw new CniError(
      CNI_ERROR.INTERNAL,
      `the lease of ${had.join(", ")} is over: the server would give ${address}`,
    );
  },

  /** Gives back the leases of attachments that are not among the living. Go's daemon tells of none. */
  async gc({ conf, network, valid }) {
    const path = socketOf({ conf });
    const living = new Set(valid.map(one => holderName(one.containerId, network, one.ifName)));
    for (const { holder } of new Records(leasesBeside(path)).readAll(0)) {
      if (holder.network !== network || living.has(holder.name)) continue;
      await callDaemon(path, "DHCP.Release", {
        ContainerID: holder.containerId,
        IfName: holder.ifName,
        StdinData: new TextEncoder().encode(JSON.stringify({ ...conf, name: network })),
      });
    }
  },

  status(context: StatusContext) {
    const path = socketOf(context);
    if (!isServed(path))
      throw new CniError(
        CNI_ERROR.NOT_AVAILABLE,
        `no DHCP daemon listens at ${path}`,
        "start it with `portolan __cni dhcp daemon`",
      );
  },
};
