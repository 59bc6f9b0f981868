/** Options and address plugin of a network that `create` is asked for. Pure. */
import { UserError } from "../base/errors.ts";
import { checkMode } from "./driver.ts";
import type { Network } from "./input.ts";

const DRIVERS = ["bridge", "macvlan", "ipvlan"];
const MAX_VLAN = 4094;
const MAX_U32 = 0xffffffff;

/** Docker's names of options, and of one that is no option here. */
const DOCKERS_MTU = "com.docker.network.driver.mtu";
const DOCKERS_BRIDGE = "com.docker.network.bridge.name";

function number(key: string, text: string): number {
  if (!/^\+?\d+$/.test(text)) throw new UserError(`unable to parse "${key}": invalid digit found in string`);
  if (Number(text) > MAX_U32)
    throw new UserError(`unable to parse "${key}": number too large to fit in target type`);
  return Number(text);
}

function truth(key: string, text: string): void {
  if (text !== "true" && text !== "false")
    throw new UserError(`unable to parse "${key}": provided string was not \`true\` or \`false\``);
}

type Check = (text: string) => void;

function checksOf(driver: string): Record<string, Check> {
  const common: Record<string, Check> = {
    mtu: text => void number("mtu", text),
    metric: text => void number("metric", text),
    no_default_route: text => truth("no_default_route", text),
    mode: text => checkMode(driver, text),
  };
  if (driver === "macvlan")
    common.bclim = text => {
      if (!/^[+-]?\d+$/.test(text))
        throw new UserError('unable to parse "bclim": invalid digit found in string');
    };
  if (driver !== "bridge") return common;
  return {
    ...common,
    vlan(text) {
      if (number("vlan", text) > MAX_VLAN)
        throw new UserError(`vlan must be between 0 and ${MAX_VLAN}, not ${text}`);
    },
    isolate(text) {
      if (text !== "strict") truth("isolate", text);
    },
    vrf(text) {
      if (text === "") throw new UserError("vrf must have a name");
    },
  };
}

/** The options under our names, and the interface that they or the network name. Throws UserError. */
export function checkOptions(network: Network): { link: string | undefined; texts: Record<string, string> } {
  const { driver } = network;
  if (!DRIVERS.includes(driver)) throw new UserError(`unsupported driver ${driver}`);
  const texts: Record<string, string> = {};
  let link = network.network_interface;
  const checks = checksOf(driver);
  for (const [key, text] of Object.entries(network.options)) {
    if (key === DOCKERS_BRIDGE && driver === "bridge") link ??= text;
    else if (key === "parent" && driver !== "bridge") link ??= text;
    else {
      const name = key === DOCKERS_MTU ? "mtu" : key;
      if (!Object.hasOwn(checks, name)) throw new UserError(`unsupported ${driver} network option ${key}`);
      checks[name]!(text);
      texts[name] = text;
    }
  }
  if (texts.mode === "unmanaged" && link === undefined)
    throw new UserError("an unmanaged bridge needs the name of its interface");
  return { link, texts };
}

/** The address plugin: the one that is asked for, or what suits the driver. Throws UserError. */
export function checkIpam(network: Network): string {
  const { driver, subnets, ipam_options, internal, options } = network;
  const usual = driver === "bridge" || subnets.length > 0 ? "host-local" : "dhcp";
  const ipam = ipam_options.driver || usual;
  if (!["host-local", "dhcp", "none"].includes(ipam)) throw new UserError(`unsupported ipam driver ${ipam}`);
  if (ipam === "none" && subnets.length > 0)
    throw new UserError("None ipam driver is set but subnets are given");
  if (ipam === "dhcp") {
    if (driver === "ipvlan") throw new UserError("ipam driver dhcp is not supported with ipvlan");
    if (driver === "bridge" && options.mode !== "unmanaged")
      throw new UserError("cannot use dhcp ipam driver without using the option mode=unmanaged");
    if (internal) throw new UserError(`internal is not supported with ${driver} and dhcp ipam driver`);
    if (subnets.length > 0) throw new UserError("dhcp ipam driver is set but subnets are given");
  }
  if (ipam === "host-local" && driver !== "bridge" && subnets.length === 0)
    throw new UserError(
      `${driver} driver needs at least one subnet specified when the host-local ipam driver is set`,
    );
  return ipam;
}
