import { readFileSync } from "node:fs";
import { errorText, hasCode, UserError } from "../../base/errors.ts";
import { type TakenDown, takeDown } from "../../kube/down.ts";
import { checkPlayable, readConfigMaps, readKubeFile } from "../../kube/file.ts";
import { type Played, type PlayOptions, play } from "../../kube/play.ts";
import { type Command, print, requireArgs } from "../command.ts";
import type { Flag, Values } from "../flags.ts";
import { pullFor } from "../pull-image.ts";

const MOST_BYTES = 64 * 1024 * 1024;

/** The text of a file, or of standard input for `-`. */
function textOf(path: string): string {
  if (/^https?:\/\//.test(path))
    throw new UserError(
      `${path}: files are not fetched: give it on standard input (curl … | portolan kube play -)`,
    );
  try {
    const data = readFileSync(path === "-" ? 0 : path);
    if (data.length > MOST_BYTES) throw new UserError(`${path} is larger than 64 MiB`);
    return new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (hasCode(error, "ENOENT")) throw new UserError(`open ${path}: no such file or directory`);
    if (error instanceof TypeError) throw new UserError(`${path} is no UTF-8 text`);
    throw new UserError(`${path}: ${errorText(error)}`);
  }
}

function pairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const equals = text.indexOf("=");
      if (equals <= 0) throw new UserError(`annotation ${JSON.stringify(text)} must be formatted KEY=VALUE`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function playOptions(flags: Values): PlayOptions {
  return {
    network: flags.has("network") ? flags.list("network") : undefined,
    ips: flags.list("ip"),
    macs: flags.list("mac-address"),
    annotations: pairs(flags.list("annotation")),
    logDriver: flags.string("log-driver"),
    logOpt: flags.has("log-opt") ? flags.list("log-opt") : undefined,
    quietPull: flags.bool("quiet"),
    tlsVerify: flags.optionalBool("tls-verify"),
    authFile: flags.string("authfile"),
    noHosts: flags.optionalBool("no-hosts"),
    userns: flags.string("userns"),
    start: flags.optionalBool("start") ?? true,
  };
}

function tell({ volumes, pods }: Played): void {
  if (volumes.length > 0) print(["Volumes:", ...volumes].join("\n"));
  for (const { id, containers } of pods) {
    print(`Pod:\n${id}`);
    if (containers.length > 0)
      print([containers.length === 1 ? "Container:" : "Containers:", ...containers, ""].join("\n"));
  }
}

const FORCE: Flag = {
  long: "force",
  kind: "bool",
  help: "Remove the volumes of the file's PersistentVolumeClaims too",
};

function tellDown({ pods, volumes }: TakenDown, force: boolean): void {
  print(["Pods stopped:", ...pods, "Pods removed:", ...pods].join("\n"));
  if (force) print(["Volumes removed:", ...volumes].join("\n"));
}

const down = async (invocation: Parameters<Command["run"]>[0]): Promise<void> => {
  // Before standard input is read: a user's command begins anew inside.
  const engine = await invocation.engine();
  const file = readKubeFile(textOf(invocation.args[0]!));
  const force = invocation.flags.bool("force");
  tellDown(await takeDown(engine, file, { volumes: force }), force);
};

export const kubePlay: Command = {
  summary: "Play a pod or volume based on Kubernetes YAML",
  usage: "[options] KUBEFILE|-",
  flags: [
    { long: "annotation", kind: "slice", help: "Add annotations to pods (key=value)" },
    { long: "authfile", kind: "string", help: "Path of the authentication file" },
    { long: "configmap", kind: "slice", help: "A YAML file with ConfigMaps that the pods refer to" },
    { long: "down", kind: "bool", help: "Stop and remove the pods of the file" },
    FORCE,
    { long: "ip", kind: "slice", help: "Static IP addresses to assign to the pods" },
    { long: "log-driver", kind: "string", help: "Logging driver for the containers" },
    { long: "log-opt", kind: "slice", help: "Logging driver options" },
    { long: "mac-address", kind: "slice", help: "Static MAC addresses to assign to the pods" },
    {
      long: "network",
      kind: "array",
      help: "Connect the pods to network(s) or a network mode",
      aliases: ["net"],
    },
    { long: "no-hosts", kind: "bool", help: "Do not create /etc/hosts within the pods' containers" },
    { long: "quiet", short: "q", kind: "bool", help: "Suppress output information when pulling images" },
    { long: "replace", kind: "bool", help: "Remove the pods of the file first, and make them anew" },
    { long: "start", kind: "bool", help: "Start the pods after creating them (default true)" },
    {
      long: "tls-verify",
      kind: "bool",
      help: "Require HTTPS and verify certificates when contacting registries",
    },
    { long: "userns", kind: "string", help: "User namespace to use" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    requireArgs(invocation, 1, 1);
    if (flags.bool("down")) {
      await down(invocation);
      return 0;
    }
    const options = playOptions(flags);
    const engine = await invocation.engine();
    const maps = flags.list("configmap").flatMap(path => [...readConfigMaps(textOf(path))]);
    const file = readKubeFile(textOf(args[0]!));
    checkPlayable(file);
    for (const [name, values] of maps) file.configMaps.set(name, values);
    if (flags.bool("replace")) {
      const gone = await takeDown(engine, file, { lenient: true });
      if (gone.pods.length > 0) tellDown(gone, false);
    }
    tell(await play(engine, file, options, { pull: pullFor(engine) }));
    return 0;
  },
};

export const kubeDown: Command = {
  summary: "Remove pods based on Kubernetes YAML",
  usage: "[options] KUBEFILE|-",
  flags: [FORCE],
  async run(invocation) {
    requireArgs(invocation, 1, 1);
    await down(invocation);
    return 0;
  },
};
