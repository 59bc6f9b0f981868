/** `--filter` of the verbs that list or remove images. */
import { UserError } from "../base/errors.ts";
import type { Engine } from "../container/engine.ts";
import { containersOfImage } from "../container/usage.ts";
import type { ImageRecord } from "../image/types.ts";
import { parseTime } from "./format/human.ts";
import { hasLabel } from "./select.ts";

type Test = (image: ImageRecord) => boolean;

export const IMAGE_FILTERS = [
  ...["after", "before", "containers", "dangling", "id", "intermediate", "label", "manifest", "readonly"],
  ...["reference", "since", "until"],
];

const created = (image: ImageRecord) => Date.parse(image.created);

/** What lets an image through only if every filter (`key=value`, `key!=value`) does. Throws UserError. */
export function imageFilter(
  engine: Engine,
  texts: readonly string[],
  allowed: readonly string[] = IMAGE_FILTERS,
): Test {
  const tests = texts.map((text): Test => {
    const [, key, negates, value] = /^([^=!]+)(!?)=(.*)$/s.exec(text) ?? [];
    if (key === undefined || value === undefined)
      throw new UserError(
        `invalid image filter ${JSON.stringify(text)}: must be in the format "filter=value or filter!=value"`,
      );
    if (!allowed.includes(key)) throw new UserError(`unsupported image filter ${JSON.stringify(key)}`);
    const test = testFor(engine, key, value);
    return negates ? image => !test(image) : test;
  });
  return image => tests.every(test => test(image));
}

function testFor(engine: Engine, key: string, value: string): Test {
  const isWanted = () => {
    if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
    if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
    throw new UserError(`non-boolean value ${JSON.stringify(value)} for ${key} filter`);
  };
  switch (key) {
    case "before":
    case "after":
    case "since": {
      const found = engine.images.find(value);
      if (!found)
        throw new UserError(
          `could not find local image for filter ${JSON.stringify(key)}=${JSON.stringify(value)}: ${value}: image not known`,
        );
      const at = created(found);
      return key === "before" ? image => created(image) < at : image => created(image) > at;
    }
    case "containers": {
      const wanted = isWanted();
      return image => containersOfImage(engine, image.id).length > 0 === wanted;
    }
    case "dangling": {
      const wanted = isWanted();
      return image => (image.names.length === 0 && !isIntermediate(engine, image)) === wanted;
    }
    case "intermediate": {
      const wanted = isWanted();
      return image => isIntermediate(engine, image) === wanted;
    }
    case "id":
      return image => image.id.startsWith(value.replace(/^sha256:/, ""));
    case "label":
      return image => hasLabel(image.config.config?.Labels ?? {}, value);
    case "reference": {
      const escaped = value
        .replace(/[.+^${}()|[\]\\]/g, "\\$&")
        .replaceAll("*", ".*")
        .replaceAll("?", ".");
      const pattern = new RegExp(`(^|/)${escaped}(:[^/]*)?$`);
      return image => image.names.some(name => pattern.test(name));
    }
    case "until": {
      const at = parseTime(value, Date.now());
      if (at === undefined)
        throw new UserError(`failed to parse value as time or duration: ${JSON.stringify(value)}`);
      return image => created(image) < at;
    }
    default: {
      // readonly, manifest: there are no images in other stores, and no lists of images.
      const wanted = isWanted();
      return () => !wanted;
    }
  }
}

/** Without a name, and there for an image that was made from it. */
export function isIntermediate(engine: Engine, image: ImageRecord): boolean {
  return image.names.length === 0 && engine.images.list().some(other => isChild(other, image));
}

/** True where the layers and the history of `child` go on from those of `parent`. */
export function isChild(child: ImageRecord, parent: ImageRecord): boolean {
  const [longer, shorter] = [child.config.history ?? [], parent.config.history ?? []];
  return (
    shorter.length > 0 &&
    longer.length > shorter.length &&
    parent.config.rootfs.diff_ids.every((diffId, index) => child.config.rootfs.diff_ids[index] === diffId) &&
    shorter.every(({ created, created_by }, index) => {
      const other = longer[index]!;
      return other.created === created && other.created_by === created_by;
    })
  );
}
