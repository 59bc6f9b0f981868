import { UserError } from "../../base/errors.ts";
import { pullImage } from "../../image/pull.ts";
import { type Command, forEach, print, requireArgs } from "../command.ts";

export const pull: Command = {
  summary: "Pull an image from a registry",
  usage: "[options] IMAGE [IMAGE...]",
  flags: [
    { long: "arch", kind: "string", help: "Use ARCH instead of the architecture of the machine" },
    { long: "authfile", kind: "string", help: "Path of the authentication file", complete: "file" },
    { long: "os", kind: "string", help: "Use OS instead of the running OS" },
    {
      long: "platform",
      kind: "string",
      help: "Specify the platform for selecting the image (os/arch[/variant])",
    },
    { long: "quiet", short: "q", kind: "bool", help: "Suppress output information when pulling images" },
    {
      long: "tls-verify",
      kind: "bool",
      help: "Require HTTPS and verify certificates when contacting registries",
    },
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
    return forEach(args, async name => {
      const image = await pullImage(engine.images, name, {
        policy: "always",
        platform,
        authFile: flags.string("authfile"),
        tlsVerify: flags.optionalBool("tls-verify"),
        quiet: flags.bool("quiet"),
      });
      print(image.id);
    });
  },
};
