/** Every bench of this directory, one after the other, and at the end all figures with their goals. `bun run bench/all.ts`. */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";

const verdicts: string[] = [];
const broken: string[] = [];
for (const file of readdirSync(import.meta.dir).sort()) {
  if (!file.endsWith(".ts") || file === basename(import.meta.path)) continue;
  const name = basename(file, ".ts");
  console.log(`── ${name}`);
  const child = Bun.spawn([process.execPath, "run", join(import.meta.dir, file)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  for await (const chunk of child.stdout) {
    process.stdout.write(chunk);
    text += Buffer.from(chunk).toString();
  }
  verdicts.push(...text.split("\n").filter(line => /\bratio .*\bgoal\b/.test(line)));
  if ((await child.exited) !== 0) broken.push(name);
}
console.log(`── all\n${verdicts.join("\n")}`);
if (broken.length > 0) console.log(`could not be measured: ${broken.join(", ")}`);
process.exit(broken.length > 0 ? 1 : 0);
