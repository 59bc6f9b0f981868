/** `export`: a container's root file system as a tar, without what is mounted in it. */
import { readSync } from "node:fs";
import { writeAll } from "../base/stdio.ts";
import type { Container } from "./config.ts";
import type { Engine } from "./engine.ts";
import { ContainerFiles } from "./files.ts";

const PIECE = 1 << 18;

/** Writes it into the open descriptor `fd`. */
export async function exportContainer(engine: Engine, container: Container, fd: number): Promise<void> {
  await using files = ContainerFiles.open(engine, container, "root");
  const from = files.get("/", undefined, true);
  const buffer = new Uint8Array(PIECE);
  for (let count = readSync(from, buffer); count > 0; count = readSync(from, buffer))
    writeAll(fd, buffer.subarray(0, count));
  await files.end();
}
