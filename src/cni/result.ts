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

/** The same result in the form of `version`, ready for JSON. */
export function formatResult(result: Result, version: string): Record<string, unknown> {
  const family = (address: string) => (address.includes(":") ? "6" : "4");
  if (/^0\.[12]\.0$/.test(version)) {
    const legacy: Record<string, unknown> = { cniVersion: version };
    for (const which of ["4", "6"] as const) {
      const ip = result.ips.find(one => family(one.address) === which);
      if (ip)
        legacy[`ip${which}`] = {
          ip: ip.address,
          gateway: ip.gateway,
          routes: result.routes
            .filter(route => family(route.dst) === which)
            .map(({ dst, gw }) => ({ dst, gw })),
        };
    }
    if (!legacy.ip4 && !legacy.ip6)
      throw new CniError(CNI_ERROR.INTERNAL, "cannot convert: no valid IP addresses");
    return { ...legacy, dns: result.dns };
  }
  const old = version.startsWith("0.");
  const out: Record<string, unknown> = { cniVersion: version };
  if (result.interfaces.length)
    out.interfaces = result.interfaces.map(({ name, mac, mtu, sandbox }) =>
      old ? { name, mac, sandbox } : { name, mac, mtu, sandbox },
    );
  if (result.ips.length)
    out.ips = result.ips.map(one => (old ? { version: family(one.address), ...one } : one));
  if (result.routes.length) out.routes = result.routes;
  return { ...out, dns: result.dns };
}
