/** Finding the image of a new container, or getting it. */
import { errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import type { ImageRecord } from "../image/types.ts";
import type { CreateContext } from "./create.ts";
import type { CreateOptions } from "./create-options.ts";
import type { Engine } from "./engine.ts";

const PULL_POLICIES = ["always", "missing", "never", "newer"] as const;

/** The image, pulled where the policy says so. */
export async function resolveImage(
  engine: Engine,
  options: CreateOptions,
  context: Pick<CreateContext, "pull">,
): Promise<ImageRecord> {
  const wanted = options.pull ?? engine.conf.engine.pull_policy ?? "missing";
  const policy = PULL_POLICIES.find(one => one === wanted);
  if (!policy) throw new UserError(`unsupported pull policy ${JSON.stringify(wanted)}`);
  const known = engine.images.find(options.image);
  const byId = known?.id.startsWith(options.image.replace(/^sha256:/, ""));
  if (known && (policy === "never" || (policy === "missing" && (byId || !options.platform)))) return known;
  if (byId)
    throw new UserError(`pull policy is ${policy} but image has been referred to by ID (${options.image})`);
  if (policy === "never" || !context.pull)
    throw new UserError(`${options.image}: image not known`, { status: 404 });
  try {
    return await context.pull(options.image, { ...options, pull: policy });
  } catch (error) {
    if (policy !== "newer" || !known) throw error;
    log.debug(`no newer ${options.image}: ${errorText(error)}`);
    return known;
  }
}
