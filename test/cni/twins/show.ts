/**
 * Prints what is otherwise with our plugins than with Go's and not listed in differences.ts, for the cases whose name matches:
 * `sudo node_modules/.bin/bun test/cni/twins/show.ts '^ptp'`, after `make build`.
 */
import { newestGoPlugins } from "../../support/go-plugins.ts";
import { CASES } from "./all.ts";
import { isKnown, KNOWN } from "./differences.ts";
import { compare, OurPlugins } from "./twin.ts";

const pattern = new RegExp(process.argv[2] ?? "");
using ours = new OurPlugins();
for (const one of CASES) {
  if (!pattern.test(one.name)) continue;
  const sides = { newest: newestGoPlugins(), ours: ours.directory };
  const found = await compare(one, sides).catch(error => {
    console.log(String(error));
    return [];
  });
  for (const difference of found.filter(each => !KNOWN.some(known => isKnown(each, known)))) {
    const line = `${difference.case}: ${difference.path} | Go ${difference.go} | ours ${difference.ours}`;
    console.log(line.replaceAll("\n", "⏎"));
  }
}
