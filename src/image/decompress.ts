/** The tar inside a blob: gzip, zstd or plain, told by its first bytes (OCI image-spec, layer.md). */
import type { Transform } from "node:stream";
import { errorText, UserError } from "../base/errors.ts";

/** Bytes that are inflated at a time: each piece costs a turn of the event loop and a call of everybody behind it. */
const PIECE = 1 << 18;

/** What is inside `source`. Throws UserError when it is damaged, and whatever `source` throws. */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    let head = new Uint8Array(0);
    while (head.length < 4) {
      const { value, done } = await iterator.next();
      if (done) break;
      head = Buffer.concat([head, value]);
    }
    const all = async function* () {
      if (head.length) yield head;
      for (let step = await iterator.next(); !step.done; step = await iterator.next()) yield step.value;
    };
    const filter = await filterFor(head);
    yield* filter ? through(filter, all()) : all();
  } finally {
    await iterator.return?.();
  }
}

/** How a blob is packed that begins with these bytes; undefined when it is not. */
export function compressionOf(head: Uint8Array): "gzip" | "zstd" | undefined {
  const starts = (...bytes: number[]) => bytes.every((byte, index) => head[index] === byte);
  if (starts(0x1f, 0x8b)) return "gzip";
  return starts(0x28, 0xb5, 0x2f, 0xfd) ? "zstd" : undefined;
}

async function filterFor(head: Uint8Array): Promise<Transform | undefined> {
  const compression = compressionOf(head);
  if (!compression) return undefined;
  // Loaded here: it brings all of Node's streams with it.
  const { createGunzip, createZstdDecompress } = await import("node:zlib");
  const options = { chunkSize: PIECE };
  return compression === "gzip" ? createGunzip(options) : createZstdDecompress(options);
}

/** What comes out of a filter. */
export async function* through(
  filter: Transform,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let failure: unknown;
  const feed = (async () => {
    try {
      for await (const chunk of source) {
        if (filter.destroyed) return;
        if (!filter.write(chunk)) await drained(filter);
      }
      filter.end();
    } catch (error) {
      failure = error;
      filter.destroy(error as Error);
    }
  })();
  try {
    yield* filter as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (failure !== undefined) throw failure;
    throw new UserError(`a layer can't be decompressed: ${errorText(error)}`, { cause: error });
  } finally {
    filter.destroy();
  }
  await feed;
}

/** Resolves when the filter takes more, or never will again. */
function drained(filter: Transform): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      filter.off("drain", done);
      filter.off("close", done);
      resolve();
    };
    filter.on("drain", done);
    filter.on("close", done);
  });
}
