/** Every bench of this directory, one after the other. `bun run bench/all.ts`. */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";

let failed = 0;
for (const file of readdirSync(import.meta.dir).sort()) {
  if (!file.endsWith(".ts") || file === basename(import.meta.path)) continue;
  console.log(`── ${basename(file, ".ts")}`);
  const child = Bun.spawnSync([process.execPath, "run", join(import.meta.dir, file)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (child.exitCode !== 0) failed++;
}
process.exit(failed > 0 ? 1 : 0);
