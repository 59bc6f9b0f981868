/**
 * One layer: packages unpacked, our files added, packed as a tar that is the same each time.
 *
 * Debian's packages still ship `/bin`, `/lib`… beside `/usr`. While a layer is unpacked those are links into `/usr`; only
 * the base layer keeps the links, or an upper layer's real `/lib` would hide the base's.
 */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fetchPackages, run, statusOf, stub } from "./packages.ts";
import type { ImageFile, LayerRecipe } from "./recipes.ts";
import { buildRepository } from "./rpm.ts";

const MERGED = ["bin", "sbin", "lib", "lib64"];
const LEFT_OUT = ["doc", "man", "info", "locale", "lintian", "bash-completion"];

/** A finished layer. */
export interface Layer {
  tar: string;
  /** sha256 of the tar, hex. */
  diffId: string;
  /** Entries of dpkg's status file for the packages in this layer, and for those left out. */
  status: string;
  createdBy: string;
}

/** Builds `recipe` on top of `below` (lowest first) in `work`, an empty directory; the tar is at `work/layer.tar`. */
export async function buildLayer(recipe: LayerRecipe, below: Layer[], work: string): Promise<Layer> {
  const root = join(work, "root");
  for (const name of MERGED) {
    mkdirSync(join(root, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  const lower = below.map(layer => layer.status).join("");
  const without = (recipe.without ?? []).map(stub).join("");
  const debs = fetchPackages(recipe.packages, lower + without, work);
  unpack(debs, root);
  if (!below.length) addAccounts(root);
  if (recipe.users) addUsers(root, recipe.users, below);
  if (recipe.applets) addApplets(root, recipe.applets);
  for (const file of recipe.files ?? []) addFile(root, file);
  if (recipe.repository) {
    const scratch = join(work, "repository");
    buildRepository(
      recipe.repository,
      lower + without + statusOf(debs),
      scratch,
      join(root, "srv/repository"),
    );
  }
  if (below.length) for (const name of MERGED) rmSync(join(root, name));
  const tar = join(work, "layer.tar");
  run(
    "tar",
    ...["--sort=name", "--mtime=@0", "--numeric-owner", "--format=gnu", "--hard-dereference"],
    ...["-C", root, "-cf", tar, "."],
  );
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(tar).stream()) hash.update(chunk);
  const status = statusOf(debs) + without;
  rmSync(root, { recursive: true, force: true });
  return {
    tar,
    diffId: hash.digest("hex"),
    status,
    createdBy: `${recipe.name}: ${recipe.packages.join(" ")}`,
  };
}

function unpack(debs: string[], root: string): void {
  const excludes = LEFT_OUT.map(name => `--exclude=./usr/share/${name}/*`);
  const pipe = `set -o pipefail; root=$1; shift; excludes=()
    while [ "$1" != -- ]; do excludes+=("$1"); shift; done; shift
    for deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x -p --numeric-owner --keep-directory-symlink "\${excludes[@]}" -C "$root"; done`;
  run("bash", "-ec", pipe, "unpack", root, ...excludes, "--", ...debs);
  chmodSync(root, 0o755);
  for (const name of ["usr", ...MERGED.map(dir => `usr/${dir}`)]) chmodSync(join(root, name), 0o755);
}

/** What base-passwd's and dash's scripts would have done. */
function addAccounts(root: string): void {
  for (const name of ["passwd", "group"]) {
    const master = join(root, "usr/share/base-passwd", `${name}.master`);
    if (existsSync(master)) copyFileSync(master, join(root, "etc", name));
  }
  const sh = join(root, "usr/bin/sh");
  if (existsSync(join(root, "usr/bin/dash")) && !existsSync(sh)) symlinkSync("dash", sh);
}

function addUsers(root: string, users: NonNullable<LayerRecipe["users"]>, below: Layer[]): void {
  const base = below[0]?.tar ?? "";
  const text = (name: string) => run("tar", "-xOf", base, `./etc/${name}`);
  const passwd = users.map(({ name, id, home }) => `${name}:x:${id}:${id}::${home}:/bin/bash\n`);
  const group = users.map(({ name, id }) => `${name}:x:${id}:\n`);
  addFile(root, { path: "/etc/passwd", text: text("passwd") + passwd.join("") });
  addFile(root, { path: "/etc/group", text: text("group") + group.join("") });
}

function addApplets(root: string, program: string): void {
  for (const path of run(join(root, program), "--list-full").trim().split("\n")) {
    const link = join(root, path);
    mkdirSync(dirname(link), { recursive: true });
    if (!lstatSync(link, { throwIfNoEntry: false })) symlinkSync(program, link);
  }
}

function addFile(root: string, file: ImageFile): void {
  const path = join(root, file.path);
  mkdirSync(dirname(path), { recursive: true });
  const text = file.from ? readFileSync(join(import.meta.dir, "entrypoints", file.from), "utf8") : file.text;
  if (file.link !== undefined) {
    rmSync(path, { recursive: true, force: true });
    symlinkSync(file.link, path);
    return;
  }
  if (text === undefined) mkdirSync(path, { recursive: true });
  else writeFileSync(path, text);
  chmodSync(path, file.mode ?? (text === undefined ? 0o755 : 0o644));
  chownSync(path, file.owner ?? 0, file.owner ?? 0);
}
