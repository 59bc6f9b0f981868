/** The house's own rules: imports go down only, and the kernel's door has one key. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

/** Rooms from the top down; rooms in one row may not import each other. */
const FLOORS = [
  ["cli", "slirp4netns"],
  ["explain", "kube"],
  ["pod"],
  ["container"],
  ["image"],
  ["state"],
  ["userns"],
  ["netavark"],
  ["network"],
  ["cni"],
  ["netd"],
  ["stack"],
  ["firewall"],
  ["netlink"],
  ["wire"],
  ["sys"],
  ["base"],
];
/** The engine's rooms know the network from above; state and image stand beside it. */
const MAY_NOT: Record<string, string[]> = {
  wire: ["sys"],
  stack: ["sys", "netlink", "firewall"],
  slirp4netns: ["container", "image", "state", "network", "cni"],
  image: ["network", "cni", "firewall", "netlink"],
  state: ["network", "cni", "firewall", "netlink"],
  userns: ["network", "cni", "netd", "stack", "firewall", "netlink", "wire"],
};

const floorOf = (room: string) => FLOORS.findIndex(floor => floor.includes(room));
const files = [...new Glob("src/**/*.ts").scanSync(".")].filter(file => !file.endsWith(".test.ts")).sort();
const importsOf = (file: string) =>
  [...readFileSync(file, "utf8").matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(match => match[1]!);

test("every file is in a room, and imports go down only", () => {
  expect(files.length).toBeGreaterThan(20);
  const wrong: string[] = [];
  for (const file of files) {
    const room = file.split("/")[1]!;
    if (room === "main.ts") continue;
    expect(floorOf(room)).toBeGreaterThanOrEqual(0);
    for (const target of importsOf(file).filter(one => one.startsWith("."))) {
      const other = normalize(join(dirname(file), target)).split("/")[1]!;
      if (other === room) continue;
      if (floorOf(other) <= floorOf(room) || MAY_NOT[room]?.includes(other))
        wrong.push(`${file} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("only sys/ imports bun:ffi, only sys/mem.ts takes addresses, only image/ fetches", () => {
  const containing = (pattern: RegExp) =>
    files.filter(file =>
      pattern.test(readFileSync(file, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")),
    );
  expect(containing(/"bun:ffi"/).filter(file => !file.startsWith("src/sys/"))).toEqual([]);
  expect(containing(/(?<![\w.])ptr\(/).filter(file => file !== "src/sys/mem.ts")).toEqual([]);
  expect(containing(/(?<![\w.])fetch\(/).filter(file => !file.startsWith("src/image/"))).toEqual([]);
});

test("the stack has no clock and no dice of its own", () => {
  const impure = files.filter(
    file =>
      file.startsWith("src/stack/") &&
      /Date\.now|new Date|performance\.|Math\.random|getRandomValues|randomUUID|setTimeout|setInterval|from "node:|Bun\./.test(
        readFileSync(file, "utf8"),
      ),
  );
  expect(impure).toEqual([]);
});
