/**
 * Prints what is otherwise with our plugins than with Go's and not listed in differences.ts, for the cases whose name matches:
 * `sudo node_modules/.bin/bun test/cni/twins/show.ts '^ptp'`, after `make build`.
 */
import { newestGoPlugins } from "../../support/go-plugins.ts";
import { CASES } from "./all.ts";
import { isListed } from "./differences.ts";
import { compareAll, OurPlugins } from "./twin.ts";

const pattern = new RegExp(process.argv[2] ?? "");
using ours = new OurPlugins();
const sides = { newest: newestGoPlugins(), ours: ours.directory };
const cases = CASES.filter(one => pattern.test(one.name));
await compareAll(cases, sides, (_, found) => {
  if (found instanceof Error) return console.log(found.message);
  for (const difference of found.filter(one => !isListed(one))) {
    const line = `${difference.case}: ${difference.path} | Go ${difference.go} | ours ${difference.ours}`;
    console.log(line.replaceAll("\n", "⏎"));
  }
});
