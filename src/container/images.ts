/** What is done to images with an eye on containers: removing one that is in use must be refused, or take them along. */
import { UserError } from "../base/errors.ts";
import { formatReference, nameMeant, parseReference } from "../image/reference.ts";
import type { ImageRecord } from "../image/types.ts";
import { recordEvent } from "../state/events.ts";
import type { Engine } from "./engine.ts";
import { removeContainer } from "./remove.ts";
import { containersOfImage } from "./usage.ts";

export interface Removed {
  untagged: string[];
  deleted: string[];
}

export function recordImageEvent(engine: Engine, status: string, id: string, name: string): void {
  recordEvent(engine.db, { type: "image", status, id, name });
}

/** Takes a name from an image; the last one, or an id, takes the image. Throws UserError with Podman's exit codes. */
export async function removeImage(
  engine: Engine,
  text: string,
  options: { force?: boolean } = {},
): Promise<Removed> {
  const image = engine.images.find(text);
  if (!image) throw new UserError(`${text}: image not known`, { exitCode: 1, status: 404 });
  const name = nameMeant(image, text);
  if (name !== undefined && image.names.length > 1) {
    untagImage(engine, image, name);
    return { untagged: [name], deleted: [] };
  }
  if (name === undefined && image.names.length > 1 && !options.force)
    throw new UserError(
      `unable to delete image ${JSON.stringify(image.id)} by ID with more than one tag ([${image.names.join(" ")}]): please force removal`,
      { exitCode: 2, status: 409 },
    );
  const users = containersOfImage(engine, image.id);
  if (users.length > 0 && !options.force)
    throw new UserError(
      `image used by ${users[0]!.config.id}: image is in use by a container: consider listing external containers and force-removing image`,
      { exitCode: 2, status: 409 },
    );
  for (const user of users) await removeContainer(engine, user.config.id, { force: true, volumes: true });
  engine.images.remove(image);
  for (const one of image.names) recordImageEvent(engine, "untag", image.id, one);
  recordImageEvent(engine, "remove", image.id, image.names[0] ?? "");
  return { untagged: image.names, deleted: [image.id] };
}

export function tagImage(engine: Engine, image: ImageRecord, name: string): void {
  engine.images.tag(image, name);
  recordImageEvent(engine, "tag", image.id, formatReference(parseReference(name, "localhost")));
}

export function untagImage(engine: Engine, image: ImageRecord, name: string): void {
  engine.images.untag(image, name);
  recordImageEvent(engine, "untag", image.id, name);
}

/** Takes the names given, or all, from an image. */
export function untagNames(engine: Engine, image: ImageRecord, names: readonly string[]): void {
  const meant = names.map(text => {
    const name = nameMeant(image, text);
    if (name === undefined) throw new UserError(`${text}: tag not known`, { exitCode: 125, status: 404 });
    return name;
  });
  for (const name of names.length > 0 ? meant : image.names) untagImage(engine, image, name);
}

/** Removes images that nothing uses: nameless ones, or with `all` every one without a container. Gives what went. */
export function pruneImages(
  engine: Engine,
  options: { all?: boolean; keep?: (image: ImageRecord) => boolean } = {},
): ImageRecord[] {
  const gone: ImageRecord[] = [];
  for (const image of engine.images.list()) {
    if (!options.all && image.names.length > 0) continue;
    if (options.keep?.(image) || containersOfImage(engine, image.id).length > 0) continue;
    engine.images.remove(image);
    recordImageEvent(engine, "remove", image.id, image.names[0] ?? "");
    gone.push(image);
  }
  return gone;
}
