/** netavark's command line (netavark(1), version 2.1). Pure. */
import { UserError } from "../base/errors.ts";

/** Whose interface is spoken. */
const VERSION = "2.1.0";

export type Command =
  | { name: "help" | "version"; text: string }
  | { name: "create"; file?: string }
  | (Place & { name: "setup" | "teardown"; netns: string })
  | (Place & { name: "update"; network: string; servers: string[] });

interface Place {
  /** Where the JSON is; standard input where nothing is said. */
  file?: string;
  config?: string;
  rootless: boolean;
  /** False where the caller wants no rules. */
  rules: boolean;
  pluginDirectories: string[];
}

/** Said on standard error, with exit code 2. */
export class UsageError extends UserError {}

const HELP = `Container network stack

Usage: netavark [OPTIONS] <COMMAND>

Commands:
  create    Completes and checks the definition of a network
  setup     Joins the network namespace to the networks of the given configuration
  teardown  Undoes what setup did
  update    Updates network dns servers for an already configured network
  version   Display info about netavark
  help      Print this message

Options:
  -f, --file <FILE>                        Read the configuration from the file instead of STDIN
  -c, --config <CONFIG>                    Directory for state, usually on a tmpfs
  -r, --rootless <ROOTLESS>                The caller is in a user namespace [possible values: true, false]
  -a, --aardvark-binary <AARDVARK_BINARY>  Taken and not used: names are told by the network service
      --firewall-driver <FIREWALL_DRIVER>  none makes no rules, any other nftables' [env: NETAVARK_FW=]
      --plugin-directory <PLUGIN_DIRECTORIES>
                                           Where drivers of others are, may be repeated
  -h, --help                               Print help
  -V, --version                            Print version
`;

declare const PORTOLAN_VERSION: string | undefined;

function about(): string {
  const own = typeof PORTOLAN_VERSION === "string" ? PORTOLAN_VERSION : "development";
  const facts = {
    version: VERSION,
    commit: `portolan ${own}`,
    build_time: "",
    target: "",
    default_fw_driver: "nftables",
  };
  return `${JSON.stringify(facts, null, 2)}\n`;
}

const SHORT: Record<string, string> = {
  f: "file",
  c: "config",
  r: "rootless",
  a: "aardvark-binary",
  h: "help",
  V: "version",
};
const WITH_VALUE = [
  "file",
  "config",
  "rootless",
  "aardvark-binary",
  "firewall-driver",
  "plugin-directory",
  "network-dns-servers",
];

/** Options by their long names, the last of each, and what is no option. `--x=y`, `--x y`, `-xy`, `-x y`. */
function split(argv: readonly string[]): {
  options: Map<string, string>;
  words: string[];
  pluginDirectories: string[];
} {
  const options = new Map<string, string>();
  const words: string[] = [];
  const pluginDirectories: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!;
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
      continue;
    }
    const [, dashes, name = "", text] = /^(--?)([^=]*)(?:=([\s\S]*))?$/.exec(word)!;
    const long = dashes === "--" ? name : SHORT[name[0] ?? ""];
    let value = dashes === "--" ? text : word.slice(2).replace(/^=/, "") || undefined;
    if (long === "help" || long === "version") value = "";
    else if (long === undefined || !WITH_VALUE.includes(long))
      throw new UsageError(
        `error: unexpected argument '${word}' found\n\nFor more information, try '--help'.`,
      );
    else if (value === undefined && ++index < argv.length) value = argv[index];
    if (value === undefined)
      throw new UsageError(
        `error: a value is required for '--${long}' but none was supplied\n\nFor more information, try '--help'.`,
      );
    if (long === "plugin-directory") pluginDirectories.push(value);
    else options.set(long, value);
  }
  return { options, words, pluginDirectories };
}

/** Reads the command line. Throws UsageError. */
export function parseCommandLine(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Command {
  const { options, words, pluginDirectories } = split(argv);
  const [command, ...rest] = words;
  if (options.has("version")) return { name: "version", text: `netavark ${VERSION}\n` };
  if (options.has("help") || command === "help") return { name: "help", text: HELP };
  const rootless = options.get("rootless") ?? "false";
  if (rootless !== "true" && rootless !== "false")
    throw new UsageError(
      `error: invalid value '${rootless}' for '--rootless <ROOTLESS>'\n  [possible values: true, false]`,
    );
  const firewall = options.get("firewall-driver") ?? env.NETAVARK_FW;
  const place = {
    rules: firewall !== "none",
    pluginDirectories,
    file: options.get("file"),
    config: options.get("config"),
    rootless: rootless === "true",
  };
  const only = (what: string) => {
    if (rest.length !== 1)
      throw new UsageError(
        `error: ${command} takes one argument, <${what}>\n\nFor more information, try '--help'.`,
      );
    return rest[0]!;
  };
  switch (command) {
    case undefined:
      throw new UsageError(HELP.trimEnd());
    case "version":
      return { name: "version", text: about() };
    case "create":
      return { name: command, file: place.file };
    case "setup":
    case "teardown":
      return { name: command, netns: only("NETWORK_NAMESPACE_PATH"), ...place };
    case "update": {
      const network = only("NETWORK_NAME");
      const servers = options.get("network-dns-servers");
      if (servers === undefined)
        throw new UsageError(
          "error: the following required arguments were not provided:\n  --network-dns-servers <NETWORK_DNS_SERVERS>",
        );
      return { name: "update", network, servers: servers.split(",").filter(one => one !== ""), ...place };
    }
    default:
      throw new UsageError(
        `error: unrecognized subcommand '${command}'\n\nUsage: netavark [OPTIONS] <COMMAND>\n\nFor more information, try '--help'.`,
      );
  }
}
