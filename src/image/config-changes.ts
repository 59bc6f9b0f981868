/** `--change` of commit and import: instructions of a Containerfile that alter an image's configuration, as Podman reads them. */
import { posix } from "node:path";
import { UserError } from "../base/errors.ts";
import { signalNumber } from "../sys/process.ts";
import type { ImageRuntimeConfig } from "./types.ts";

/** `"a"` → `a`. */
const unquoted = (text: string) => (/^".*"$/s.test(text) && text.length > 1 ? text.slice(1, -1) : text);

/** A JSON list of texts, or undefined for anything else. */
function listOf(text: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every(one => typeof one === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}

const command = (value: string) => listOf(value) ?? (value === "" ? [] : ["/bin/sh", "-c", value]);

type Refuse = (reason: string) => never;
type Instruction = (config: ImageRuntimeConfig, value: string, refuse: Refuse) => void;

const INSTRUCTIONS: Readonly<Record<string, Instruction>> = {
  CMD: (config, value) => {
    config.Cmd = command(value);
  },
  ENTRYPOINT: (config, value) => {
    config.Entrypoint = command(value);
  },
  ENV: (config, value, refuse) => {
    const [key, text] = pair(value);
    if (key === "") refuse("ENV must have at least one argument");
    config.Env = [...(config.Env ?? []).filter(one => !one.startsWith(`${key}=`)), `${key}=${text}`];
  },
  EXPOSE: (config, value, refuse) => {
    const [port = "", protocol = "tcp", ...more] = value.split("/");
    if (more.length > 0) refuse("EXPOSE port must be formatted as PORT[/PROTO]");
    if (!/^[+-]?\d+$/.test(port))
      refuse(`EXPOSE port must be an integer: strconv.Atoi: parsing ${JSON.stringify(port)}: invalid syntax`);
    if (!(Number(port) > 0 && Number(port) <= 65535)) refuse("EXPOSE port must be a valid port number");
    if (!/^(tcp|udp)$/i.test(protocol)) refuse("EXPOSE protocol must be TCP or UDP");
    config.ExposedPorts = { ...config.ExposedPorts, [`${Number(port)}/${protocol.toLowerCase()}`]: {} };
  },
  LABEL: (config, value, refuse) => {
    const [key, text] = pair(value);
    if (key === "") refuse("LABEL must have at least one argument");
    config.Labels = { ...config.Labels, [key]: text };
  },
  ONBUILD: (config, value, refuse) => {
    if (value === "") refuse("ONBUILD must be given an argument");
    config.OnBuild = [...(config.OnBuild ?? []), value];
  },
  STOPSIGNAL: (config, value, refuse) => {
    const number =
      signalNumber(value) ?? refuse(`KILLSIGNAL must be given a valid signal: invalid signal: ${value}`);
    config.StopSignal = String(number);
  },
  USER: (config, value, refuse) => {
    if (value === "") refuse("must provide a value to USER");
    config.User = value;
  },
  VOLUME: (config, value, refuse) => {
    const paths = listOf(value) ?? value.split(/\s+/).filter(Boolean);
    if (paths.length === 0) refuse("VOLUME must have at least one argument");
    config.Volumes = { ...config.Volumes, ...Object.fromEntries(paths.map(path => [path, {}])) };
  },
  WORKDIR: (config, value) => {
    config.WorkingDir = posix.join(config.WorkingDir ?? "", value);
  },
};

/** `key=value`, either of them in quotes or not. */
function pair(text: string): [string, string] {
  const equals = text.indexOf("=");
  return equals < 0
    ? [unquoted(text), ""]
    : [unquoted(text.slice(0, equals)), unquoted(text.slice(equals + 1))];
}

/** The configuration with the changes, each `INSTRUCTION value` or `INSTRUCTION=value`. Throws UserError in Podman's words. */
export function changedConfig(config: ImageRuntimeConfig, changes: readonly string[]): ImageRuntimeConfig {
  const changed = { ...config };
  for (const change of changes) {
    const refuse: Refuse = reason => {
      throw new UserError(`invalid change ${JSON.stringify(change)} - ${reason}`, { status: 400 });
    };
    const [, word = "", value = ""] =
      /^([^ ]*) (.*)$/s.exec(change) ??
      /^([^=]*)=(.*)$/s.exec(change) ??
      refuse("must be formatted as KEY VALUE");
    const name = word.trim().toUpperCase();
    const instruction = Object.hasOwn(INSTRUCTIONS, name) ? INSTRUCTIONS[name]! : undefined;
    if (!instruction) refuse(`invalid instruction ${name}`);
    else instruction(changed, value.trim(), refuse);
  }
  return changed;
}
