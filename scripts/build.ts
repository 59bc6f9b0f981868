/** Builds `dist/portolan`, the one executable. */
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import type { BuildConfig, BunPlugin } from "bun";
import { version } from "../package.json";
import { giveBack } from "./give-back.ts";

const DOOR = "src/cni/door/executable.ts";
const DOOR_BUILT = "dist/door";

async function build(config: BuildConfig): Promise<void> {
  const result = await Bun.build({
    ...config,
    // Only what a command imports is read at its start: three of ten milliseconds.
    format: "esm",
    splitting: true,
    define: { PORTOLAN_VERSION: JSON.stringify(version) },
  });
  for (const message of result.logs) console.error(message);
  if (!result.success) process.exit(1);
}

// A chunk takes a tenth of a millisecond to load, and of a CNI plugin's own there would be forty: those of every usual chain
// are built first, as one piece, which is then a chunk of the executable.
await build({ entrypoints: [DOOR], outdir: DOOR_BUILT, target: "bun" });
const doorInOnePiece: BunPlugin = {
  name: "door in one piece",
  setup(builder) {
    builder.onResolve({ filter: /\/cni\/door\/executable\.ts$/ }, () => ({
      path: resolve(DOOR_BUILT, "executable.js"),
    }));
  },
};

await build({
  entrypoints: ["src/main.ts"],
  // Bun would read settings, and variables for us and for what we start, from the directory that a person happens to be in.
  compile: {
    outfile: "dist/portolan",
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
  },
  minify: true,
  bytecode: true,
  plugins: [doorInOnePiece],
});
rmSync(DOOR_BUILT, { recursive: true });
giveBack("dist", "dist/portolan");
console.log("dist/portolan");
