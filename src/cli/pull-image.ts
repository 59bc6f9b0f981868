/** Pulling an image for `run` and `create`, when it is not in the store. */
import type { CreateOptions } from "../container/create-options.ts";
import type { Engine } from "../container/engine.ts";
import type { ImageRecord } from "../image/types.ts";

export const pullFor =
  (engine: Engine) =>
  async (name: string, options: CreateOptions): Promise<ImageRecord> => {
    const { pullImage } = await import("../image/pull.ts");
    return pullImage(engine.images, name, {
      policy: options.pull,
      platform: options.platform,
      authFile: options.authFile,
      tlsVerify: options.tlsVerify,
      quiet: options.quietPull,
    });
  };
