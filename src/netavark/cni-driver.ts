/**
 * The driver `cni` of other netavarks: a plugin of netavark's (plugin-API.md) by which a podman that has forgotten CNI joins
 * containers to networks of conflists. The option `conflist` names the CNI network; else it is called as podman's is.
 */
import { readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { writeOut } from "../base/stdio.ts";
import { loadConfLists } from "../cni/load.ts";
import { NameBook } from "../cni/name-book.ts";
import { type Attachment, CniRuntime } from "../cni/runtime.ts";
import type { NetConfList, PortMap } from "../cni/types.ts";
import * as netns from "../sys/netns.ts";
import { portMaps } from "./driver.ts";
import { type Network, type PluginRequest, readNetwork, readObject, readPluginRequest } from "./input.ts";
import { failure, statusOf } from "./status.ts";

const DIRECTORY = "/etc/cni/net.d";
const OPTIONS = ["conflist", "config_dir"];

/** Runs one verb; gives the exit code. */
export async function cniDriverMain(argv: readonly string[]): Promise<number> {
  try {
    const answer = await run(argv);
    if (answer) writeOut(`${JSON.stringify(answer)}\n`);
    return 0;
  } catch (error) {
    writeOut(failure(error));
    return 1;
  }
}

async function run([verb, path]: readonly string[]): Promise<object | undefined> {
  const input = () => readFileSync(0, "utf8");
  if (verb === "info") return { version: "1.1.0", api_version: "1.0.0" };
  if (verb === "create") return create(input());
  if ((verb !== "setup" && verb !== "teardown") || path === undefined)
    throw new UserError("the verbs are create, setup NETNS, teardown NETNS and info");
  const request = readPluginRequest(input());
  const runtime = new CniRuntime({ names: async () => new NameBook() });
  if (verb === "setup") return setUp(runtime, path, request);
  const { network, container_id: containerId, wish } = request;
  const attachment = { containerId, netns: netns.isNetns(path) ? path : "", ifName: wish.interface_name };
  await runtime.del(find(network), nameOf(network), attachment);
  return undefined;
}

const nameOf = ({ name, options }: Network) => options.conflist || name;
const directoryOf = ({ options }: Network) => options.config_dir || DIRECTORY;
const find = (network: Network): NetConfList | undefined =>
  loadConfLists(directoryOf(network)).get(nameOf(network))?.list;

function required(network: Network): NetConfList {
  const list = find(network);
  if (!list)
    throw new UserError(`${directoryOf(network)} has no conflist of a network ${nameOf(network)}`, {
      hint: "say which with the option conflist=NAME",
    });
  return list;
}

/** Addresses, rules and names are the conflist's business. */
function create(text: string): object {
  const asked = readObject(text);
  const network = readNetwork(asked);
  if (network.subnets.length > 0)
    throw new UserError("the subnets of a network of driver cni are those of its conflist");
  const unknown = Object.keys(network.options).find(key => !OPTIONS.includes(key));
  if (unknown) throw new UserError(`unsupported cni network option ${unknown}`);
  const [main] = required(network).plugins;
  const link = main!.bridge ?? main!.master;
  return {
    ...asked,
    network_interface: typeof link === "string" ? link : asked.network_interface,
    dns_enabled: false,
    ipam_options: { driver: "none" },
  };
}

async function setUp(runtime: CniRuntime, path: string, request: PluginRequest): Promise<object> {
  const { network, wish, container_id: containerId, container_name: name } = request;
  const cniArgs: [string, string][] = [
    ["IgnoreUnknown", "1"],
    ["K8S_POD_NAME", name],
  ];
  const capabilityArgs: Record<string, unknown> = {};
  const ports: PortMap[] = portMaps(request.port_mappings, new Set([4, 6]));
  if (ports.length > 0) capabilityArgs.portMappings = ports;
  if (wish.static_ips.length === 1) cniArgs.push(["IP", wish.static_ips[0]!]);
  else if (wish.static_ips.length > 1) capabilityArgs.ips = wish.static_ips;
  if (wish.static_mac) {
    cniArgs.push(["MAC", wish.static_mac]);
    capabilityArgs.mac = wish.static_mac;
  }
  const list = required(network);
  if (wish.aliases.length > 0) capabilityArgs.aliases = { [list.name]: wish.aliases };
  const attachment: Attachment = {
    containerId,
    netns: path,
    ifName: wish.interface_name,
    cniArgs,
    capabilityArgs,
  };
  const result = await runtime.add(list, attachment);
  const { nameservers = [], search = [] } = result.dns;
  return statusOf(wish.interface_name, result, { servers: nameservers, search });
}
