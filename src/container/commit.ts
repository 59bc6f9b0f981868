/** `commit`: an image of what a container has become: its image's layers, and what it has changed as one more. */
import { closeSync, createReadStream, lstatSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { writeAll } from "../base/stdio.ts";
import { changes } from "../image/changes.ts";
import { composeImage, type ImageFormat, inOrder, localName } from "../image/compose.ts";
import { changedConfig } from "../image/config-changes.ts";
import { parsePlatform } from "../image/manifest.ts";
import { OPAQUE_MARK, WHITEOUT } from "../image/marks.ts";
import { TarTree } from "../image/tar-tree.ts";
import type { ImageConfig, ImageRecord, ImageRuntimeConfig } from "../image/types.ts";
import { insideId } from "../sys/user-namespace.ts";
import { recordContainerEvent } from "./cleanup.ts";
import { type Container, type ContainerConfig, statusOf } from "./config.ts";
import type { Engine } from "./engine.ts";
import { needProcess } from "./pins.ts";

export interface CommitOptions {
  name?: string;
  author?: string;
  message?: string;
  format: ImageFormat;
  changes: readonly string[];
  /** Volumes of the container become volumes of the image. */
  includeVolumes: boolean;
  /** Freezes a running container meanwhile. */
  pause: boolean;
  /** One layer in place of all. */
  squash: boolean;
}

/** The directory that has what the container wrote itself; all of it where there is no overlay. */
export const writtenDirectory = ({ paths }: Engine, { id, storageDriver }: ContainerConfig) =>
  join(paths.container(id), storageDriver === "vfs" ? "merged" : "upper");

export async function commitContainer(
  engine: Engine,
  container: Container,
  options: CommitOptions,
): Promise<ImageRecord> {
  needProcess(container);
  if (options.message !== undefined && options.format === "oci")
    throw new UserError("messages are only compatible with the docker image format (-f docker)");
  const names = options.name === undefined ? [] : [localName(options.name)];
  const runtime = forFormat(
    inOrder(changedConfig(runtimeConfig(container.config, options), options.changes)),
    options.format,
  );
  const { id } = container.config;
  const { pauseContainer, unpauseContainer } = await import("./pause.ts");
  const pauses = options.pause && statusOf(container) === "running";
  using _session = engine.images.beginImport();
  const base = engine.images.byId(container.config.imageId);
  if (!base)
    throw new UserError(`the image ${container.config.imageId} of container ${id} is not there any more`);
  mkdirSync(engine.images.scratch, { recursive: true, mode: 0o700 });
  const path = join(engine.images.scratch, `commit-${crypto.randomUUID()}`);
  if (pauses) await pauseContainer(engine, id);
  try {
    await (options.squash ? writeWhole : writeChanges)(engine, container, path);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    if (pauses) await unpauseContainer(engine, id);
  }
  let diffId: string | undefined;
  try {
    ({ diffId } = await engine.images.layers.ingest(createReadStream(path)));
    const image = composeImage(
      engine.images,
      whole(container.config, base.config, runtime, diffId, options),
      options.format,
      names,
    );
    recordContainerEvent(engine, container, "commit");
    return image;
  } finally {
    rmSync(path, { force: true });
    if (diffId) engine.images.dropUnused([diffId]);
  }
}

/** What the image shall start with: as the container was made. */
function runtimeConfig(config: ContainerConfig, options: CommitOptions): ImageRuntimeConfig {
  const { imageConfig } = config;
  const volumes = options.includeVolumes ? config.mounts.map(one => [one.destination, {}]) : [];
  const all = { ...imageConfig.Volumes, ...Object.fromEntries(volumes) };
  return {
    ...imageConfig,
    User: config.user || undefined,
    Env: config.env,
    Entrypoint: config.entrypoint.length > 0 ? config.entrypoint : undefined,
    Cmd: config.command.length > 0 ? config.command : undefined,
    WorkingDir: config.workdir === "/" ? imageConfig.WorkingDir : config.workdir,
    Labels: Object.keys(config.labels).length > 0 ? config.labels : undefined,
    Volumes: Object.keys(all).length > 0 ? all : undefined,
  };
}

/** OCI's configuration (image-spec v1.1, config.md) has no place for what Docker added to its own. */
function forFormat(config: ImageRuntimeConfig, format: ImageFormat): ImageRuntimeConfig {
  if (format === "docker") return config;
  const { Healthcheck, OnBuild, ...plain } = config;
  if (OnBuild?.length)
    log.warn(
      `ONBUILD is not supported for OCI image format, ${OnBuild.join(" ")} will be ignored. Must use \`docker\` format`,
    );
  return plain;
}

function whole(
  container: ContainerConfig,
  base: ImageConfig,
  config: ImageRuntimeConfig,
  diffId: string,
  { author, message, squash }: CommitOptions,
): ImageConfig & Record<string, unknown> {
  const created = new Date().toISOString();
  const step = {
    created,
    created_by: "/bin/sh",
    ...(author ? { author } : {}),
    comment: message ?? (squash ? undefined : `FROM ${container.imageName}`),
  };
  const { os, architecture } = parsePlatform();
  return {
    os: base.os || os,
    architecture: base.architecture || architecture,
    ...(base.variant ? { variant: base.variant } : {}),
    created,
    ...(author ? { author } : {}),
    config,
    rootfs: { type: "layers", diff_ids: [...(squash ? [] : base.rootfs.diff_ids), diffId] },
    history: [...(squash ? [] : (base.history ?? [])), step],
  };
}

/** The layer as a tar: what was added or changed, and marks for what was removed (image-spec, layer.md). */
async function writeChanges(engine: Engine, { config }: Container, path: string): Promise<void> {
  const { ids } = config;
  const owner = (uid: number, gid: number) =>
    ids ? { uid: insideId(ids.uids, uid) ?? 0, gid: insideId(ids.gids, gid) ?? 0 } : { uid, gid };
  const fd = openSync(path, "wx", 0o600);
  try {
    const tree = new TarTree(data => writeAll(fd, data), { owner, wholeSeconds: true, checked: true });
    const directory = writtenDirectory(engine, config);
    if (lstatSync(directory, { throwIfNoEntry: false }))
      for (const one of changes(config.storageDriver ?? "overlay", directory, config.layers)) {
        const name = one.path.slice(1);
        if (one.source !== undefined) tree.one(one.source, name);
        else tree.empty(name.replace(/[^/]*$/, last => `${WHITEOUT}${last}`));
        if (one.opaque) tree.empty(`${name}/${OPAQUE_MARK}`);
      }
    tree.end();
  } finally {
    closeSync(fd);
  }
}

/** The same of the whole root file system. */
async function writeWhole(engine: Engine, container: Container, path: string): Promise<void> {
  const { exportContainer } = await import("./export.ts");
  const fd = openSync(path, "wx", 0o600);
  try {
    await exportContainer(engine, container, fd);
  } finally {
    closeSync(fd);
  }
}
