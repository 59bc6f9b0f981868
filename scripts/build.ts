/** Builds `dist/portolan`, the one executable. */
import { version } from "../package.json";

const result = await Bun.build({
  entrypoints: ["src/main.ts"],
  compile: { outfile: "dist/portolan" },
  minify: true,
  bytecode: true,
  define: { PORTOLAN_VERSION: JSON.stringify(version) },
});
for (const message of result.logs) console.error(message);
if (!result.success) process.exit(1);
console.log("dist/portolan");
