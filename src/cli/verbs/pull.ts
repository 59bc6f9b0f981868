import { UserError } from "../../base/errors.ts";
import { pullAllTags, pullImage } from "../../image/pull.ts";
import { type Command, forEach, print, requireArgs } from "../command.ts";
import { AUTHFILE, CERT_DIR, CREDS, readCredentials, TLS_VERIFY } from "../registry-flags.ts";

export const pull: Command = {
  summary: "Pull an image from a registry",
  usage: "[options] IMAGE [IMAGE...]",
  flags: [
    {
      long: "all-tags",
      short: "a",
      kind: "bool",
      help: "All tagged images in the repository will be pulled",
    },
    { long: "arch", kind: "string", help: "Use ARCH instead of the architecture of the machine" },
    AUTHFILE,
    CERT_DIR,
    CREDS,
    { long: "os", kind: "string", help: "Use OS instead of the running OS" },
    {
      long: "platform",
      kind: "string",
      help: "Specify the platform for selecting the image (os/arch[/variant])",
    },
    { long: "quiet", short: "q", kind: "bool", help: "Suppress output information when pulling images" },
    TLS_VERIFY,
    { long: "variant", kind: "string", help: "Use VARIANT instead of the running architecture variant" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    requireArgs(invocation, 1);
    if (flags.has("platform") && (flags.has("arch") || flags.has("os")))
      throw new UserError("--platform option can not be specified with --arch or --os");
    const named = [flags.string("os") ?? "linux", flags.string("arch"), flags.string("variant")].filter(
      Boolean,
    );
    const platform = flags.string("platform") ?? (flags.has("arch") ? named.join("/") : undefined);
    const engine = await invocation.engine();
    const options = {
      policy: "always",
      platform,
      authFile: flags.string("authfile"),
      credentials: readCredentials(flags.string("creds")),
      certDir: flags.string("cert-dir"),
      tlsVerify: flags.optionalBool("tls-verify"),
      quiet: flags.bool("quiet"),
    };
    return forEach(args, async name => {
      const pulled = flags.bool("all-tags")
        ? await pullAllTags(engine.images, name, options)
        : [await pullImage(engine.images, name, options)];
      for (const { id } of pulled) print(id);
    });
  },
};
