/** Deciding what a new container may use, and what becomes of its output. */
import { UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { parseSize } from "../base/quantity.ts";
import { checkLimits, hasController } from "./cgroups.ts";
import type { ContainerConfig, ResourceLimits } from "./config.ts";
import { pairs } from "./create-environment.ts";
import type { CreateOptions } from "./create-options.ts";
import type { Engine } from "./engine.ts";
import { hasJournal } from "./journal.ts";
import { decideUlimits } from "./ulimits.ts";

function size(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined) throw new UserError(`invalid size: '${text}'`);
  return bytes;
}

export function limits(engine: Engine, options: CreateOptions): ResourceLimits {
  checkLimits(engine, options);
  const conf = engine.conf.containers;
  const pids = hasController(engine, "pids") ? (conf.pids_limit ?? 2048) : 0;
  const { memory, memorySwap, memoryReservation, cpus, cpuShares, cpusetCpus, cpusetMems } = options;
  return {
    memory,
    memorySwap: memorySwap ?? (memory ? 2 * memory : undefined),
    memoryReservation,
    cpus,
    cpuShares,
    cpusetCpus,
    cpusetMems,
    pidsLimit: options.pidsLimit ?? pids,
    ulimits: decideUlimits(options.ulimits, conf.default_ulimits),
    shmSize: options.shmSize ?? (conf.shm_size ? size(conf.shm_size) : 65_536_000),
    oomScoreAdj: options.oomScoreAdj,
  };
}

export type LogSettings = Pick<ContainerConfig, "logDriver" | "logMaxSize" | "logTag"> & { logPath?: string };

const DRIVERS: readonly string[] = ["k8s-file", "json-file", "journald", "none"];

/** `--log-driver` and `--log-opt`, else what containers.conf says, as far as that is known here. */
export function logSettings(
  engine: Engine,
  options: Pick<CreateOptions, "logDriver" | "logOpt">,
): LogSettings {
  const conf = engine.conf.containers;
  if (options.logDriver === "passthrough")
    throw new UserError('log driver "passthrough" is Podman\'s and not there yet', {
      status: 501,
      hint: `use ${DRIVERS.join(", ")}`,
    });
  if (options.logDriver === "journald" && !hasJournal())
    throw new UserError("log driver journald: this machine has no journal", {
      hint: "it needs systemd-journald to run, and journalctl; use k8s-file",
    });
  if (options.logDriver !== undefined && !DRIVERS.includes(options.logDriver))
    throw new UserError("running container create option: invalid log driver: invalid argument");
  if (conf.log_driver && !DRIVERS.includes(conf.log_driver))
    log.debug(`log driver ${conf.log_driver} of containers.conf is not known here: k8s-file is used`);
  const configured = conf.log_driver === "journald" && !hasJournal() ? "" : (conf.log_driver ?? "");
  const driver = options.logDriver ?? configured;
  const given = pairs(options.logOpt ?? [], text => `invalid log option ${JSON.stringify(text)}`);
  const maxSize = given["max-size"] === undefined ? conf.log_size_max : size(given["max-size"]);
  return {
    logDriver: DRIVERS.includes(driver) ? (driver as LogSettings["logDriver"]) : "k8s-file",
    logPath: given.path,
    logMaxSize: maxSize && maxSize > 0 ? maxSize : undefined,
    logTag: given.tag ?? conf.log_tag,
  };
}
