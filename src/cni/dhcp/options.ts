/** What a configuration wants told to the server and asked of it (`ipam.provide`, `ipam.request`). */
import { DHCP_OPTION } from "../../wire/dhcp.ts";
import { CNI_ERROR, CniError } from "../types.ts";

export interface Wanted {
  /** Values by the option's number. */
  provide: Map<number, Uint8Array>;
  request: number[];
}

/** Names that options may be called by besides their numbers. */
const NAMES: Record<string, number> = {
  "dhcp-client-identifier": DHCP_OPTION.CLIENT_IDENTIFIER,
  "subnet-mask": DHCP_OPTION.SUBNET_MASK,
  routers: DHCP_OPTION.ROUTER,
  "host-name": DHCP_OPTION.HOST_NAME,
  "user-class": DHCP_OPTION.USER_CLASS,
  "vendor-class-identifier": DHCP_OPTION.VENDOR_CLASS,
};

/** Classless routes come before the routers that they stand in for (RFC 3442). */
const ASKED_FOR = [
  DHCP_OPTION.SUBNET_MASK,
  DHCP_OPTION.CLASSLESS_ROUTES,
  DHCP_OPTION.ROUTER,
  DHCP_OPTION.STATIC_ROUTES,
  DHCP_OPTION.DNS,
  DHCP_OPTION.DOMAIN_NAME,
  DHCP_OPTION.SEARCH,
];
const MOST = 255;

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);

/** `args`: CNI_ARGS by their names. */
export function readWanted(ipam: Record<string, unknown>, args: Readonly<Record<string, string>>): Wanted {
  const provide = new Map<number, Uint8Array>();
  for (const { option, value, fromArg } of objects(ipam, "provide")) {
    const number = numberOf(option);
    const asked = typeof fromArg === "string" ? args[fromArg] : undefined;
    const text = asked ?? (typeof value === "string" ? value : "");
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > MOST) throw invalid(`value too long for option ${JSON.stringify(option)}: ${text}`);
    if (bytes.length > 0) provide.set(number, bytes);
  }
  const asked = objects(ipam, "request");
  const request = asked.filter(one => one.option !== undefined).map(one => numberOf(one.option));
  if (!asked.some(one => one.skipDefault === true)) request.push(...ASKED_FOR);
  return { provide, request: [...new Set(request)] };
}

function objects(ipam: Record<string, unknown>, key: string): Record<string, unknown>[] {
  const list = ipam[key] ?? [];
  if (!Array.isArray(list) || list.some(one => typeof one !== "object" || one === null))
    throw invalid(`ipam.${key} must be a list of objects`);
  return list as Record<string, unknown>[];
}

function numberOf(option: unknown): number {
  const text = String(option);
  const number = NAMES[text] ?? (/^\d{1,3}$/.test(text) ? Number(text) : Number.NaN);
  if (number > DHCP_OPTION.PAD && number < DHCP_OPTION.END) return number;
  throw invalid(
    `Can not parse option ${JSON.stringify(text)}: it is neither a number from 1 to 254 nor one of ${Object.keys(NAMES).join(", ")}`,
  );
}
