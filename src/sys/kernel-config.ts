/** What the kernel was built with: `/proc/config.gz`, or the file that distributions lay beside the kernel. */
import { readFileSync } from "node:fs";
import { release } from "node:os";

/** False where the kernel is known to lack `option` (`CONFIG_...`); true where it has it, or nothing is known. */
export function mayHave(option: string, configuration = ownConfiguration()): boolean {
  return configuration === undefined || new RegExp(`^${option}=[ym]$`, "m").test(configuration);
}

function ownConfiguration(): string | undefined {
  try {
    return new TextDecoder().decode(Bun.gunzipSync(readFileSync("/proc/config.gz")));
  } catch {
    // Not every kernel shows it.
  }
  try {
    return readFileSync(`/boot/config-${release()}`, "utf8");
  } catch {
    return undefined;
  }
}
