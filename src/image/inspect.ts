/** What `image inspect` tells, in the shape that Podman 4 gives it (ImageData). */
import { parseReference, repositoryName } from "./reference.ts";
import type { ImageStore } from "./store.ts";
import type { ImageRecord } from "./types.ts";

/** The image as JSON. */
export function inspectImage(images: ImageStore, image: ImageRecord): Record<string, unknown> {
  const { config } = image;
  const runtime = config.config ?? {};
  const [top, ...lower] = images.layerDirectories(image);
  return {
    Id: image.id,
    Digest: image.digest,
    RepoTags: image.names,
    RepoDigests: repoDigests(image),
    Parent: "",
    Comment: config.history?.at(-1)?.comment ?? "",
    Created: image.created,
    // Templates ask for labels where there are none too; JSON leaves them out.
    Config: { ...runtime, Labels: runtime.Labels },
    Version: runtime.Labels?.version ?? "",
    Author: config.author ?? "",
    Architecture: config.architecture,
    Os: config.os,
    Size: image.size,
    VirtualSize: image.size,
    GraphDriver: {
      Name: "overlay",
      Data: {
        ...(lower.length > 0 ? { LowerDir: lower.join(":") } : {}),
        ...(top ? { UpperDir: top } : {}),
      },
    },
    RootFS: { Type: config.rootfs.type, Layers: config.rootfs.diff_ids },
    Labels: runtime.Labels ?? null,
    Annotations: annotations(images, image),
    ManifestType: image.manifestType,
    User: runtime.User ?? "",
    History: config.history ?? [],
    NamesHistory: image.names,
    Healthcheck: runtime.Healthcheck,
  };
}

/** Where it was pulled from, and what its other names would call it. */
function repoDigests(image: ImageRecord): string[] {
  const named = image.names.map(name => `${repositoryName(parseReference(name))}@${image.digest}`);
  return [...new Set([...image.repoDigests, ...named])];
}

/** Those of the manifest (image-spec v1.1, manifest.md). */
function annotations(images: ImageStore, image: ImageRecord): Record<string, string> {
  const manifest = JSON.parse(new TextDecoder().decode(images.manifest(image.id))) as {
    annotations?: Record<string, string>;
  };
  return manifest.annotations ?? {};
}
