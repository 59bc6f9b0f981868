/** `cni add|del|check NET NETNS`, `cni gc|status NET`: networks without an engine, by the variables and in the words of cnitool. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { errorText, hasCode, UserError } from "../../base/errors.ts";
import { loadNetworkConf } from "../../cni/load.ts";
import { formatResult } from "../../cni/result.ts";
import { type Attachment, CniRuntime } from "../../cni/runtime.ts";
import type { NetConfList } from "../../cni/types.ts";
import { readContainersConf } from "../../container/conf.ts";
import { userConfig } from "../../state/directories.ts";
import { CAP, isCapable } from "../../sys/capabilities.ts";
import { isNetns } from "../../sys/netns.ts";
import { inInitialUserNamespace } from "../../sys/user-namespace.ts";
import { userIdentity } from "../../userns/identity.ts";
import { type Command, type Invocation, print, requireArgs } from "../command.ts";
import type { Flag } from "../flags.ts";

const FOREIGN: Flag = {
  long: "foreign",
  kind: "slice",
  metavar: "type",
  help: "Execute the plugin of CNI_PATH though there is one of ours (several by commas)",
};

/** `K=V;K=V` of CNI_ARGS. */
function cniArgs(): [string, string][] {
  const text = process.env.CNI_ARGS;
  if (!text) return [];
  return text.split(";").map(pair => {
    const parts = pair.split("=");
    if (parts.length !== 2 || !parts[0] || !parts[1])
      throw new UserError(`invalid CNI_ARGS pair ${JSON.stringify(pair)}`);
    return [parts[0], parts[1]];
  });
}

/** The JSON object of CAP_ARGS; undefined, which is that of ADD to the other verbs, where it is not set. */
function capabilityArgs(): Record<string, unknown> | undefined {
  const text = process.env.CAP_ARGS;
  if (!text) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UserError(`CAP_ARGS is no JSON: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new UserError('CAP_ARGS must be an object, such as {"portMappings": [...]}');
  return value as Record<string, unknown>;
}

const nameBook = async () => new (await import("../../cni/name-book.ts")).NameBook();

interface Request {
  runtime: CniRuntime;
  list: NetConfList;
  attachment: Attachment;
}

/** A type that no plugin of the network has was mistyped, or meant for another network. */
function checkForeign(types: readonly string[], { name, plugins }: NetConfList): void {
  const there = plugins.flatMap(({ type, ipam }) => (ipam?.type ? [type, ipam.type] : [type]));
  const unknown = types.find(type => !there.includes(type));
  if (unknown !== undefined)
    throw new UserError(
      `no plugin of network ${name} is of the type ${JSON.stringify(unknown)} of --foreign: it has ${there.join(", ")}`,
    );
}

function request(invocation: Invocation): Request {
  const [network, namespace = ""] = invocation.args as [string, string?];
  const netns = namespace && resolve(namespace);
  const list = loadNetworkConf(process.env.NETCONFPATH || "/etc/cni/net.d", network);
  const { flags, global } = invocation;
  const conf = readContainersConf(process.env, "/", userIdentity() && userConfig()).network;
  const asked = flags.list("foreign");
  checkForeign(asked, list);
  const path = process.env.CNI_PATH?.split(":").filter(one => one !== "");
  return {
    runtime: new CniRuntime({
      pluginPath: path ?? global.cniPluginDirs ?? conf.cni_plugin_dirs,
      foreign: flags.has("foreign") ? asked : conf.cni_foreign_plugins,
      names: nameBook,
      backend: "nftables",
    }),
    list,
    attachment: {
      // cnitool's id, so that either removes what the other added: the first ten bytes of the path's digest.
      containerId: `cnitool-${createHash("sha512").update(netns).digest("hex").slice(0, 20)}`,
      netns,
      ifName: process.env.CNI_IFNAME || "eth0",
      cniArgs: cniArgs(),
      capabilityArgs: capabilityArgs(),
    },
  };
}

const DEL = "Take a network namespace off a network";
const VARIABLES = "NETCONFPATH, CNI_PATH, CNI_IFNAME, CNI_ARGS and CAP_ARGS mean what they mean to cnitool";

/** What nobody may do who has no rights over the host's network. */
function noRights(network: string, cause?: unknown): UserError {
  const why = cause === undefined ? "" : `: ${errorText(cause)}`;
  return new UserError(`no rights to network ${network} and to network namespaces${why}`, {
    exitCode: 1,
    hint: "run it as root; `portolan run --network` needs no rights",
    cause,
  });
}

/** Whether rights are what failed, by what was said first. */
function isRefusal(error: unknown): boolean {
  if (hasCode(error, "EACCES", "EPERM")) return true;
  return error instanceof Error && error.cause !== undefined && isRefusal(error.cause);
}

/** A verb about an attachment, or about the network alone (`isOfAll`), to which cnitool's second argument says nothing. */
function command(summary: string, run: (request: Request) => Promise<void>, isOfAll = false): Command {
  return {
    summary: `${summary}; NETNS is a path. ${VARIABLES}`,
    usage: `[options] NETWORK ${isOfAll ? "[NETNS]" : "NETNS"}`,
    flags: [FOREIGN],
    async run(invocation) {
      requireArgs(invocation, isOfAll ? 1 : 2, 2);
      const network = invocation.args[0]!;
      // CHECK would find nothing as it was, and DEL stop half-way.
      if (!isCapable(CAP.SYS_ADMIN)) throw noRights(network);
      try {
        const asked = request(invocation);
        const { netns } = asked.attachment;
        // One that is gone can still be taken off its network.
        if (netns && summary !== DEL && !isNetns(netns))
          throw new UserError(`${netns} is no network namespace`);
        await run(asked);
      } catch (error) {
        if (isRefusal(error) && !inInitialUserNamespace()) throw noRights(network, error);
        throw new UserError(errorText(error), { exitCode: 1, cause: error });
      }
      return 0;
    },
  };
}

export const cniAdd = command(
  "Add a network namespace to a network and print the result",
  async ({ runtime, list, attachment }) => {
    const result = await runtime.add(list, attachment);
    print(JSON.stringify(formatResult(result, list.cniVersion), null, 4));
  },
);

export const cniCheck = command(
  "Check that a network namespace is as it was added",
  ({ runtime, list, attachment }) => runtime.check(list, attachment),
);

export const cniDel = command(DEL, ({ runtime, list, attachment }) =>
  runtime.del(list, list.name, attachment),
);

export const cniGc = command(
  "Remove everything that is attached to a network, whatever NETNS says",
  ({ runtime, list }) => runtime.gc(list, []),
  true,
);

export const cniStatus = command(
  "Tell whether a network is ready to be added to",
  ({ runtime, list }) => runtime.status(list),
  true,
);
