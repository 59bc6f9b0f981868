/** Builds `dist/portolan`, the one executable. */
import { version } from "../package.json";
import { giveBack } from "./give-back.ts";

const result = await Bun.build({
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
  // Only what a command imports is read at its start: three of ten milliseconds.
  format: "esm",
  splitting: true,
  define: { PORTOLAN_VERSION: JSON.stringify(version) },
});
for (const message of result.logs) console.error(message);
if (!result.success) process.exit(1);
giveBack("dist", "dist/portolan");
console.log("dist/portolan");
