/** Builds `dist/portolan`, the one executable. */
import { rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import type { BuildConfig, BunPlugin } from "bun";
import { version } from "../package.json";
import { giveBack } from "./give-back.ts";

/** What is built first, each as one piece, which is then a chunk of the executable. */
const PIECES = ["cni/door", "netavark"];
const PIECES_BUILT = "dist/pieces";

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

// A chunk takes a tenth of a millisecond to load, and of a CNI plugin's own there would be forty, of netavark's sixty: who is
// executed again and again, and does a few milliseconds' work, has all of his in one.
for (const piece of PIECES)
  await build({
    entrypoints: [`src/${piece}/executable.ts`],
    outdir: join(PIECES_BUILT, piece),
    target: "bun",
  });
const inOnePiece: BunPlugin = {
  name: "in one piece",
  setup(builder) {
    builder.onResolve({ filter: /\/executable\.ts$/ }, ({ path, importer }) => {
      const piece = relative(resolve("src"), resolve(dirname(importer), dirname(path)));
      return { path: resolve(PIECES_BUILT, piece, "executable.js") };
    });
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
  plugins: [inOnePiece],
});
rmSync(PIECES_BUILT, { recursive: true });
giveBack("dist", "dist/portolan");
console.log("dist/portolan");
