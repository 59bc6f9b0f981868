/**
 * containers.conf(5), what of it concerns this engine. Later files speak over earlier ones, field by field:
 * `/usr/share/containers/containers.conf`, `/etc/containers/containers.conf`, `/etc/containers/containers.conf.d/*.conf`
 * in order of name. `CONTAINERS_CONF` names a file that stands for all of these; `CONTAINERS_CONF_OVERRIDE` one that is
 * read last. Fields have the file's own names here; those that nobody set are undefined.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errorText, hasCode, UserError } from "../base/errors.ts";

/** The fields that are obeyed, and the form of each; all others are passed over, as Podman does. */
const FIELDS = {
  containers: {
    annotations: "list",
    apparmor_profile: "text",
    base_hosts_file: "text",
    cgroupns: "text",
    default_capabilities: "list",
    default_sysctls: "list",
    default_ulimits: "list",
    devices: "list",
    dns_options: "list",
    dns_searches: "list",
    dns_servers: "list",
    env: "list",
    env_host: "truth",
    host_containers_internal_ip: "text",
    http_proxy: "truth",
    init: "truth",
    init_path: "text",
    ipcns: "text",
    log_driver: "text",
    log_size_max: "number",
    log_tag: "text",
    netns: "text",
    no_hosts: "truth",
    pidns: "text",
    pids_limit: "number",
    read_only: "truth",
    seccomp_profile: "text",
    shm_size: "text",
    tz: "text",
    umask: "text",
    userns: "text",
    utsns: "text",
    volumes: "list",
  },
  engine: {
    cgroup_manager: "text",
    conmon_path: "list",
    detach_keys: "text",
    image_volume_mode: "text",
    infra_command: "text",
    infra_image: "text",
    network_cmd_options: "list",
    pull_policy: "text",
    runtime: "text",
    runtimes: "lists",
    stop_timeout: "number",
  },
  network: {
    cni_foreign_plugins: "list",
    cni_plugin_dirs: "list",
    default_network: "text",
    default_rootless_network_cmd: "text",
    default_subnet: "text",
    network_config_dir: "text",
    pasta_options: "list",
  },
} as const;

interface Forms {
  list: string[];
  text: string;
  truth: boolean;
  number: number;
  /** A table of lists. */
  lists: Record<string, string[]>;
}

type Table<F extends Record<string, keyof Forms>> = { [K in keyof F]?: Forms[F[K]] };
export type ContainersConf = { [T in keyof typeof FIELDS]: Table<(typeof FIELDS)[T]> };

const WORDS: Record<keyof Forms, string> = {
  list: "a list of strings",
  text: "a string",
  truth: "true or false",
  number: "a whole number",
  lists: "a table of lists of strings",
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(one => typeof one === "string");

const FITS: Record<keyof Forms, (value: unknown) => boolean> = {
  list: isList,
  text: value => typeof value === "string",
  truth: value => typeof value === "boolean",
  number: value => Number.isSafeInteger(value),
  lists: value => isRecord(value) && Object.values(value).every(isList),
};

/** What one file says. Throws one line that names the file, and the field that is wrong. */
export function parseContainersConf(text: string, path: string): ContainersConf {
  const wrong = (what: string) => new UserError(`decoding configuration ${path}: ${what}`);
  let file: Record<string, unknown>;
  try {
    file = Bun.TOML.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw wrong(errorText(error).replace("TOML Parse error", "toml"));
  }
  const conf: ContainersConf = { containers: {}, engine: {}, network: {} };
  for (const [table, fields] of Object.entries(FIELDS)) {
    const given = file[table] ?? {};
    if (!isRecord(given)) throw wrong(`${table} must be a table`);
    for (const [field, form] of Object.entries(fields) as [string, keyof Forms][]) {
      const value = given[field];
      if (value === undefined) continue;
      if (!FITS[form](value)) throw wrong(`${table}.${field} must be ${WORDS[form]}`);
      (conf[table as keyof ContainersConf] as Record<string, unknown>)[field] = value;
    }
  }
  return conf;
}

/** `later` over `earlier`. */
function merge(earlier: ContainersConf, later: ContainersConf): ContainersConf {
  const runtimes = { ...earlier.engine.runtimes, ...later.engine.runtimes };
  return {
    containers: { ...earlier.containers, ...later.containers },
    engine: { ...earlier.engine, ...later.engine, runtimes },
    network: { ...earlier.network, ...later.network },
  };
}

/** The files to be read, in this order; those that were named must be there. */
function sources(env: Readonly<Record<string, string | undefined>>, root: string, userDirectory?: string) {
  const etc = join(root, "etc/containers/containers.conf");
  const own = userDirectory === undefined ? [] : [join(userDirectory, "containers/containers.conf")];
  const files = env.CONTAINERS_CONF
    ? [{ path: env.CONTAINERS_CONF, namedBy: "CONTAINERS_CONF" }]
    : [
        join(root, "usr/share/containers/containers.conf"),
        ...[etc, ...own].flatMap(path => [path, ...dropIns(`${path}.d`)]),
      ].map(path => ({ path, namedBy: "" }));
  if (env.CONTAINERS_CONF_OVERRIDE)
    files.push({ path: env.CONTAINERS_CONF_OVERRIDE, namedBy: "CONTAINERS_CONF_OVERRIDE" });
  return files;
}

function dropIns(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter(name => name.endsWith(".conf"))
      .sort()
      .map(name => join(directory, name));
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}

/** The whole configuration. `root` is where `etc` and `usr` are; an ordinary user has a directory of his own besides. */
export function readContainersConf(
  env: Readonly<Record<string, string | undefined>> = process.env,
  root = "/",
  userDirectory?: string,
): ContainersConf {
  let conf: ContainersConf = { containers: {}, engine: {}, network: {} };
  for (const { path, namedBy } of sources(env, root, userDirectory)) {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if (!namedBy && hasCode(error, "ENOENT")) continue;
      const why = hasCode(error, "ENOENT") ? "no such file or directory" : errorText(error);
      throw new UserError(`${namedBy || "containers.conf"} file: open ${path}: ${why}`);
    }
    conf = merge(conf, parseContainersConf(text, path));
  }
  return conf;
}

/** The variables that name files of ours, for programs that start us again. */
export function confEnvironment(): Record<string, string> {
  return Object.fromEntries(
    ["CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE"].flatMap(name => {
      const value = process.env[name];
      return value ? [[name, value]] : [];
    }),
  );
}
