import { existsSync, writeFileSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import type { Engine } from "../../container/engine.ts";
import { nameMeant } from "../../image/reference.ts";
import { formatPlace, type Place, parsePlace } from "../../image/transports.ts";
import type { ImageRecord } from "../../image/types.ts";
import type { Command, Invocation } from "../command.ts";
import { AUTHFILE, CERT_DIR, CREDS, readCredentials, TLS_VERIFY } from "../registry-flags.ts";

export const push: Command = {
  summary: "Push an image to a specified destination",
  usage: "[options] IMAGE [DESTINATION]",
  flags: [
    AUTHFILE,
    CERT_DIR,
    { long: "compress", kind: "bool", help: "Compress layers when pushing to a directory (dir)" },
    { long: "compression-format", kind: "string", help: "Compression format of the layers: gzip or zstd" },
    CREDS,
    {
      long: "digestfile",
      kind: "string",
      help: "Write the digest of the pushed image to the file",
      complete: "file",
    },
    {
      long: "disable-content-trust",
      kind: "bool",
      help: "Of Docker's command line; changes nothing",
      hidden: true,
    },
    { long: "format", short: "f", kind: "string", help: "Manifest type: oci or v2s2 (default: as it came)" },
    { long: "quiet", short: "q", kind: "bool", help: "Suppress output information when pushing images" },
    {
      long: "remove-signatures",
      kind: "bool",
      help: "Leave out signatures (the store has none of any image)",
    },
    { long: "sign-by", kind: "string", help: "Not supported: sign with the key", hidden: true },
    TLS_VERIFY,
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    if (args.length < 1 || args.length > 2)
      throw new UserError(`accepts between 1 and 2 arg(s), received ${args.length}`);
    const options = { format: formatOf(invocation), compression: compressionOf(invocation) };
    if (flags.has("sign-by")) throw new UserError("images can't be signed: --sign-by is not supported");
    const [name = "", destination] = args;
    const engine = await invocation.engine();
    const image = engine.images.get(name);
    const place = parsePlace(destination ?? nameMeant(image, name) ?? image.names[0] ?? name);
    if (flags.bool("compress") && place.transport !== "dir")
      throw new UserError("--compress can be set only when the destination is of the type dir:");
    let digest: string;
    if (place.transport === "docker") {
      const { pushImage } = await import("../../image/push.ts");
      digest = await pushImage(engine.images, image, place.reference, {
        ...options,
        authFile: flags.string("authfile"),
        credentials: readCredentials(flags.string("creds")),
        certDir: flags.string("cert-dir"),
        tlsVerify: flags.optionalBool("tls-verify"),
        quiet: flags.bool("quiet"),
      });
    } else {
      if (options.format || options.compression || flags.bool("compress"))
        throw new UserError(
          `layers and manifests go to ${place.transport}: as they are: --format, --compress and --compression-format are for registries`,
        );
      digest = await writeTo(engine, image, place, name);
    }
    const file = flags.string("digestfile");
    if (file !== undefined) writeFileSync(file, digest);
  },
};

function formatOf({ flags }: Invocation): "oci" | "v2s2" | undefined {
  const format = flags.string("format");
  if (format === undefined || format === "oci" || format === "v2s2") return format;
  if (format === "v2s1") throw new UserError("manifests of the format v2s1 are no longer written");
  throw new UserError(
    `unknown format ${JSON.stringify(format)}. Choose one of the supported formats: 'oci' or 'v2s2'`,
  );
}

function compressionOf({ flags }: Invocation): "gzip" | "zstd" | undefined {
  const format = flags.string("compression-format");
  if (format === undefined || format === "gzip" || format === "zstd") return format;
  throw new UserError(`unsupported compression format ${JSON.stringify(format)}: choose gzip or zstd`);
}

/** Writes an image into an archive or a directory; gives the digest of its manifest. */
async function writeTo(
  engine: Engine,
  image: ImageRecord,
  place: Exclude<Place, { transport: "docker" }>,
  meant: string,
): Promise<string> {
  const { transport, path } = place;
  const { saveDirectory, saveFile } = await import("../../image/save.ts");
  const { formatReference, parseReference } = await import("../../image/reference.ts");
  const isOci = transport === "oci" || transport === "oci-archive";
  // A tag alone names no image, but is what OCI's layouts are used to.
  const given = place.name && (isOci ? place.name : formatReference(parseReference(place.name)));
  const named = given || (transport === "docker-archive" && nameMeant(image, meant));
  const saved = { image, names: named ? [named] : [] };
  if (transport === "docker-archive" && existsSync(path))
    throw new UserError(
      `initializing destination ${formatPlace(place)}: docker-archive doesn't support modifying existing images`,
    );
  if (transport === "oci" || transport === "dir") await saveDirectory(engine.images, saved, transport, path);
  else await saveFile(engine.images, [saved], transport, path);
  engine.images.recordEvent("push", image.id, formatPlace(place));
  const { layersOf, manifestFor } = await import("../../image/outgoing.ts");
  const { sha256 } = await import("../../image/store.ts");
  return `sha256:${sha256(await manifestFor(engine.images, image, layersOf(engine.images, image)))}`;
}
