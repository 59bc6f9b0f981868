/** Image configurations as they come from outside (OCI image-spec v1.1, config.md; Docker's are alike). */
import { UserError } from "../base/errors.ts";
import type { ImageConfig } from "./types.ts";

type Form = [what: string, fits: (value: unknown) => boolean];

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(one => typeof one === "string");

const TEXT: Form = ["a text", value => typeof value === "string"];
const NUMBER: Form = ["a number", value => Number.isSafeInteger(value)];
const TEXTS: Form = ["a list of texts", isTexts];
const TABLE: Form = ["a table", isObject];
const TEXT_TABLE: Form = [
  "a table of texts",
  value => isObject(value) && Object.values(value).every(one => typeof one === "string"),
];
const DIGESTS: Form = [
  "a list of digests",
  value => isTexts(value) && value.every(one => /^sha256:[0-9a-f]{64}$/.test(one)),
];
const TABLES: Form = ["a list of tables", value => Array.isArray(value) && value.every(isObject)];

const TOP: Record<string, Form> = {
  created: TEXT,
  author: TEXT,
  architecture: TEXT,
  os: TEXT,
  variant: TEXT,
  config: TABLE,
  rootfs: TABLE,
  history: TABLES,
};
const RUNTIME: Record<string, Form> = {
  User: TEXT,
  ExposedPorts: TABLE,
  Env: TEXTS,
  Entrypoint: TEXTS,
  Cmd: TEXTS,
  Volumes: TABLE,
  WorkingDir: TEXT,
  Labels: TEXT_TABLE,
  StopSignal: TEXT,
  OnBuild: TEXTS,
  Healthcheck: TABLE,
};
const HEALTH: Record<string, Form> = {
  Test: TEXTS,
  Interval: NUMBER,
  Timeout: NUMBER,
  StartPeriod: NUMBER,
  Retries: NUMBER,
};
const HISTORY: Record<string, Form> = { created: TEXT, created_by: TEXT, comment: TEXT, author: TEXT };

/**
 * The configuration, with everything that is used of it in the form it must have; what is null is left out, and what is
 * unknown stays. Throws UserError.
 */
export function parseConfig(data: Uint8Array): ImageConfig {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(data));
  } catch {
    throw new UserError("the image's configuration is no JSON");
  }
  if (!isObject(parsed)) throw new UserError("the image's configuration is no object");
  const config = checked(parsed, TOP, "");
  const rootfs = isObject(config.rootfs) ? checked(config.rootfs, { diff_ids: DIGESTS }, "rootfs.") : {};
  if (rootfs.diff_ids === undefined)
    throw new UserError("this is no image that can be run: its configuration names no layers");
  const runtime = checked((config.config ?? {}) as Record<string, unknown>, RUNTIME, "config.");
  if (isObject(runtime.Healthcheck))
    runtime.Healthcheck = checked(runtime.Healthcheck, HEALTH, "config.Healthcheck.");
  const history = config.history as Record<string, unknown>[] | undefined;
  return {
    ...config,
    architecture: config.architecture ?? "",
    os: config.os ?? "",
    config: runtime,
    rootfs: { ...rootfs, type: "layers" },
    ...(history && { history: history.map(one => checked(one, HISTORY, "history.")) }),
  } as unknown as ImageConfig;
}

function checked(
  table: Record<string, unknown>,
  forms: Record<string, Form>,
  where: string,
): Record<string, unknown> {
  const kept = Object.entries(table).filter(([, value]) => value !== null);
  for (const [key, value] of kept) {
    const form = Object.hasOwn(forms, key) ? forms[key] : undefined;
    if (form && !form[1](value))
      throw new UserError(`the image's configuration has a ${where}${key} that is not ${form[0]}`);
  }
  return Object.fromEntries(kept);
}
