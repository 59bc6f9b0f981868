/** Results between versions of the specification (1.x inside; 0.1.0 to 1.1.0 at the edges). */
import {
  CNI_ERROR,
  CniError,
  type Dns,
  type Result,
  type ResultInterface,
  type ResultIp,
  type ResultRoute,
} from "./types.ts";

interface LegacyIp {
  ip: string;
  gateway?: string;
  routes?: ResultRoute[];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const broken = (what: string) => new CniError(CNI_ERROR.DECODE, `a plugin's result has ${what}`);

/** The objects of a list whose `key` is a text; every list of a result is of this kind. */
function objects<T>(value: unknown, what: string, key: string): T[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw broken(`${what} that are no list`);
  for (const one of value)
    if (!isObject(one) || typeof one[key] !== "string") throw broken(`one of its ${what} without ${key}`);
  return value as T[];
}

/** A result as a plugin printed it or a cache held it. Throws CniError where it has not the shape of one. */
export function parseResult(data: unknown, assumedVersion: string): Result {
  if (!isObject(data)) throw new CniError(CNI_ERROR.DECODE, "a plugin's result is no JSON object");
  const cniVersion =
    typeof data.cniVersion === "string" && data.cniVersion ? data.cniVersion : assumedVersion;
  const dns = isObject(data.dns) ? (data.dns as Dns) : {};
  if (/^0\.[12]\.0$/.test(cniVersion)) {
    const result: Result = { cniVersion, interfaces: [], ips: [], routes: [], dns };
    for (const key of ["ip4", "ip6"] as const) {
      if (data[key] === undefined || data[key] === null) continue;
      const [one] = objects<LegacyIp>([data[key]], "addresses", "ip");
      result.ips.push({ address: one!.ip, gateway: one!.gateway });
      result.routes.push(...objects<ResultRoute>(one!.routes, "routes", "dst"));
    }
    return result;
  }
  return {
    cniVersion,
    interfaces: objects<ResultInterface>(data.interfaces, "interfaces", "name"),
    ips: objects<ResultIp>(data.ips, "addresses", "address").map(
      ({ interface: index, address, gateway }) => ({
        interface: index,
        address,
        gateway,
      }),
    ),
    routes: objects<ResultRoute>(data.routes, "routes", "dst"),
    dns,
  };
}

/** Go leaves out what is empty. */
const orNone = <T>(value: T | undefined): T | undefined =>
  value === "" || (Array.isArray(value) && value.length === 0) ? undefined : value;

const formatDns = ({ nameservers, domain, search, options }: Dns): Dns => ({
  nameservers: orNone(nameservers),
  domain: orNone(domain),
  search: orNone(search),
  options: orNone(options),
});

/** Go's plugins that speak 1.1.0 leave it out, older ones print `{}`. */
const isEmpty = (dns: Dns) => Object.values(formatDns(dns)).every(one => one === undefined);

const formatRoute = ({ dst, gw, mtu, advmss, priority, table, scope }: ResultRoute): ResultRoute => ({
  dst,
  gw: orNone(gw),
  mtu,
  advmss,
  priority,
  table,
  scope,
});

const family = (address: string) => (address.includes(":") ? "6" : "4");

/** 0.1.0 and 0.2.0: one address of each family, with its routes. */
function formatLegacy(result: Result, version: string): Record<string, unknown> {
  const of = (which: "4" | "6") => {
    const ip = result.ips.find(one => family(one.address) === which);
    const routes = result.routes.filter(route => family(route.dst) === which);
    return (
      ip && {
        ip: ip.address,
        gateway: orNone(ip.gateway),
        routes: orNone(routes.map(({ dst, gw }) => ({ dst, gw: orNone(gw) }))),
      }
    );
  };
  const [ip4, ip6] = [of("4"), of("6")];
  if (!ip4 && !ip6) throw new CniError(CNI_ERROR.INTERNAL, "cannot convert: no valid IP addresses");
  return { cniVersion: version, ip4, ip6, dns: formatDns(result.dns) };
}

/** The same result in the form of `version`, ready for JSON, its keys in the order of Go's structs. */
export function formatResult(result: Result, version: string): Record<string, unknown> {
  if (/^0\.[12]\.0$/.test(version)) return formatLegacy(result, version);
  const isOld = version.startsWith("0.");
  const interfaces = result.interfaces.map(({ name, mac, mtu, sandbox, socketPath, pciID }) => ({
    name,
    mac: orNone(mac),
    ...(isOld ? {} : { mtu }),
    sandbox: orNone(sandbox),
    ...(isOld ? {} : { socketPath: orNone(socketPath), pciID: orNone(pciID) }),
  }));
  const ips = result.ips.map(({ interface: index, address, gateway }) => ({
    ...(isOld ? { version: family(address) } : {}),
    interface: index,
    address,
    gateway: orNone(gateway),
  }));
  return {
    cniVersion: version,
    interfaces: orNone(interfaces),
    ips: orNone(ips),
    routes: orNone(result.routes.map(formatRoute)),
    dns: version === "1.1.0" && isEmpty(result.dns) ? undefined : formatDns(result.dns),
  };
}
